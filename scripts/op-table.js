// Writes native/core/op_table.inc and formats.inc: the op table of src/graph/ops.ts and the formats of src/device/formats.ts, as
// compiled in dist/, for native code. Run it after a row has changed and TypeScript is built. `--check` writes nothing and fails
// where a file is stale.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FORMATS } from "../dist/device/formats.js";
import { OPS, PAGE_KEYS } from "../dist/graph/ops.js";
import { signatureOf } from "../dist/graph/signatures.js";

const core = join(dirname(dirname(fileURLToPath(import.meta.url))), "native/core");

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const constant = (name) => `k${name[0].toUpperCase()}${name.slice(1)}`;
const enumOf = (names) => `enum : uint32_t { ${names.map(constant).join(", ")} };`;
const bits = (places) => `0x${places.reduce((mask, place) => mask | (1 << place), 0).toString(16)}`;
const dtype = (name) => `DType::k${name.toUpperCase()}`;

/** Letters count from 1: 0 is none. */
const dimOf = ({ factor, letters, binds }) =>
  `{${factor}, {${letters.map((letter) => letter + 1).join(", ")}}, ${binds + 1}}`;

function operandOf({ name, role, dims, dtypes, like, index, bound, inPlace }) {
  const shape = dims.map(({ text }) => text).join(", ");
  const kind = like >= 0 ? "" : `${dtypes.join("|")}${bound ? ` < ${bound.text}` : ""}`;
  const fields = [
    `"${name}"`,
    `Role::${constant(role)}`,
    bits(dtypes.map((name) => FORMATS[name].code)),
    like,
    index,
    bound ? dimOf(bound) : "{}",
    bits(inPlace),
    dims.length,
    `{${dims.map(dimOf).join(", ")}}`,
  ];
  return `    {${fields.join(", ")}},  // [${shape}] ${kind}`.trimEnd();
}

function partsOf(op) {
  const { operands, required, when, letters } = signatureOf(op);
  const row = OPS[op];
  const attributes = Object.keys(row.attributes ?? {});
  const fields = Object.entries(row.fields ?? {}).map(([count, names]) => enumOf([...names, count]));
  const names = [
    `namespace ${snake(op)} {`,
    enumOf(operands.map(({ name }) => name)),
    ...(attributes.length > 0 ? [enumOf(attributes)] : []),
    ...fields,
    `}  // namespace ${snake(op)}`,
  ];
  const letterRows = letters.map(({ name, least, most, rows }) => `{"${name}", ${least}, ${most + 1}, ${rows}}`);
  const lists = [
    letters.length > 0
      ? `inline constexpr LetterRow ${constant(op)}Letters[] = {${letterRows.join(", ")}};`
      : `inline constexpr std::span<const LetterRow> ${constant(op)}Letters = {};`,
    `inline constexpr OperandRow ${constant(op)}Operands[] = {`,
    ...operands.map(operandOf),
    "};",
  ];
  const optional = when ? `${when.operand}, ${dtype(when.dtype)}` : "0, DType::kF32";
  const fieldsOfRow = [
    `"${op}"`,
    `${constant(op)}Operands`,
    required,
    optional,
    attributes.length,
    `${constant(op)}Letters`,
  ];
  return { names, lists, row: `    {${fieldsOfRow.join(", ")}},` };
}

function checkCodes(table) {
  Object.entries(table).forEach(([name, { code }], place) => {
    if (code !== place) throw new Error(`${name}: its code is ${code}, its place in the table ${place}`);
  });
}
checkCodes(OPS);
checkCodes(FORMATS);

const ops = Object.keys(OPS);
const parts = ops.map(partsOf);
const opTable = [
  "// Made by scripts/op-table.js of src/graph/ops.ts: not edited by hand. Included by core/op_table.h, which says what the rows mean.",
  "",
  `inline constexpr uint32_t kPageKeys = ${PAGE_KEYS};`,
  `inline constexpr uint32_t kOpCount = ${ops.length};`,
  `inline constexpr uint32_t kMaxOperands = ${Math.max(...ops.map((op) => signatureOf(op).operands.length))};`,
  `inline constexpr uint32_t kMaxLetters = ${Math.max(...ops.map((op) => signatureOf(op).letters.length))};`,
  "",
  `enum class OpCode : uint32_t { ${ops.map(constant).join(", ")} };`,
  "",
  ...parts.flatMap(({ names }) => names),
  "",
  ...parts.flatMap(({ lists }) => lists),
  "",
  "// By OpCode.",
  "inline constexpr OpRow kOpRows[kOpCount] = {",
  ...parts.map(({ row }) => row),
  "};",
  "",
].join("\n");

const dtypes = Object.keys(FORMATS);
const formats = [
  "// Made by scripts/op-table.js of src/device/formats.ts: not edited by hand. Included by core/formats.h, which says what the rows mean.",
  "",
  `enum class DType : uint32_t { ${dtypes.map((name) => `k${name.toUpperCase()}`).join(", ")} };`,
  `inline constexpr uint32_t kDTypeCount = ${dtypes.length};`,
  "",
  "// By DType.",
  "inline constexpr FormatRow kFormatRows[kDTypeCount] = {",
  ...Object.entries(FORMATS).map(
    ([name, { block, shared = { columns: 0, bytes: 0 }, alignment }]) =>
      `    {"${name}", ${block.rows}, ${block.columns}, ${block.bytes}, ${shared.columns}, ${shared.bytes}, ${alignment}},`,
  ),
  "};",
  "",
].join("\n");

const write = !process.argv.includes("--check");
for (const [name, text] of [
  ["op_table.inc", opTable],
  ["formats.inc", formats],
]) {
  if (write) writeFileSync(join(core, name), text);
  else if (readFileSync(join(core, name), "utf8") !== text) {
    console.error(`native/core/${name} is stale: npm run build:ts && node scripts/op-table.js`);
    process.exitCode = 1;
  }
}

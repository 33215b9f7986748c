// Writes native/core/op_table.inc: the op table of src/graph/ops.ts, as compiled in dist/, for native code. Run it after a row has
// changed and TypeScript is built. `--check` writes nothing and fails where the file is stale.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DTYPE_CODES } from "../dist/device/tensor.js";
import { OPS, PAGE_KEYS } from "../dist/graph/ops.js";
import { signatureOf } from "../dist/graph/signatures.js";

const path = join(dirname(dirname(fileURLToPath(import.meta.url))), "native/core/op_table.inc");

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
    bits(dtypes.map((name) => DTYPE_CODES[name])),
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
  const letterRows = letters.map(({ name, least, most }) => `{"${name}", ${least}, ${most + 1}}`);
  const lists = [
    `inline constexpr LetterRow ${constant(op)}Letters[] = {${letterRows.join(", ")}};`,
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

const ops = Object.keys(OPS);
ops.forEach((op, place) => {
  if (OPS[op].code !== place) throw new Error(`${op}: its code is ${OPS[op].code}, its place in the table ${place}`);
});
const parts = ops.map(partsOf);
const text = [
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

if (!process.argv.includes("--check")) {
  writeFileSync(path, text);
} else if (readFileSync(path, "utf8") !== text) {
  console.error("native/core/op_table.inc is stale: npm run build:ts && node scripts/op-table.js");
  process.exit(1);
}

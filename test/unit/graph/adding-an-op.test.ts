// Enforces docs/adding-an-op.md: every op of the table has every piece, and the pieces agree.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OPS, type OpRow, SAMPLE_FLOATS, SAMPLE_INTS } from "#quipu/graph/ops.js";
import { Recorder } from "#quipu/graph/recorder.js";

const root = process.cwd();
const read = (path: string) => readFileSync(join(root, path), "utf8");
const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const kebab = (name: string) => snake(name).replaceAll("_", "-");
const upper = (name: string) => name[0]!.toUpperCase() + name.slice(1);

const header = read("native/core/op_table.h");
const enumOf = (text: string) =>
  [...text.matchAll(/\bk([A-Z]\w*)\b(?:\s*=\s*(\w+))?/g)].map(([, name, value]) => [name!, value] as const);
const namespaceOf = (name: string) =>
  header.match(new RegExp(`namespace ${snake(name)} \\{([\\s\\S]*?)\\}  // namespace`))?.[1];

describe.each(Object.entries(OPS) as [keyof typeof OPS, OpRow][])("op %s", (name, row) => {
  test("has its number in native/core/op_table.h", () => {
    const codes = new Map(enumOf(header.match(/enum class OpCode[^{]*\{([^}]*)\}/)![1]!));
    expect(codes.get(upper(name))).toBe(String(row.code));
    expect(Number(header.match(/kOpCount = (\d+)/)![1])).toBe(Object.keys(OPS).length);
    expect(read("native/core/op_table.cc")).toContain(`return "${name}";`);
  });

  test("has its operands and attributes in the same order there", () => {
    const body = namespaceOf(name);
    expect(body).toBeDefined();
    const [operands, attributes] = [...body!.matchAll(/enum \{([^}]*)\}/g)].map(([, list]) =>
      enumOf(list!).map(([entry]) => entry),
    );
    const lists = [Object.keys(row.operands), Object.keys(row.results)].flat().map(upper);
    const optional = Object.keys(row.optional ?? {}).map(upper);
    expect(operands).toEqual([...lists, "Operands", ...(optional.length > 0 ? [...optional, "OperandsI8"] : [])]);
    expect(attributes!.filter((entry) => entry !== "Attributes")).toEqual(Object.keys(row.attributes ?? {}).map(upper));
  });

  test("has a check, a kernel, its line in the table of kernels, and a test", () => {
    expect(read("native/core/op_table.cc")).toContain(`case OpCode::k${upper(name)}:`);
    expect(existsSync(join(root, `native/cpu/kernels/${snake(name)}.h`))).toBe(true);
    expect(read("native/cpu/kernels/all.h")).toContain(`set(OpCode::k${upper(name)},`);
    expect(existsSync(join(root, `test/kernels/${kebab(name)}.test.ts`))).toBe(true);
  });

  test("has a method of the recorder", () => {
    expect(typeof Recorder.prototype[name]).toBe("function");
  });
});

test("numerics.md says in what order each reduction is done", () => {
  const numerics = read("docs/numerics.md");
  for (const name of ["matmul", "rmsNorm", "rope", "attention", "swiglu", "sample"])
    expect(numerics).toContain(`## ${name}`);
});

test("sample's settings are in the same order on both sides", () => {
  const [, , floats, ints] = [...namespaceOf("sample")!.matchAll(/enum \{([^}]*)\}/g)].map(([, list]) =>
    enumOf(list!).map(([entry]) => entry),
  );
  expect(floats).toEqual([...SAMPLE_FLOATS.map(upper), "FloatSettings"]);
  expect(ints).toEqual([...SAMPLE_INTS.map(upper), "IntSettings"]);
});

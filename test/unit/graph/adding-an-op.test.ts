// Enforces docs/adding-an-op.md: every op of the table has every piece.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { OPS } from "#quipu/graph/ops.js";

const root = process.cwd();
const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const headings = readFileSync(join(root, "docs/numerics.md"), "utf8").match(/^## .*/gm) ?? [];

test("native/core/op_table.inc and formats.inc are made of src/graph/ops.ts and src/device/formats.ts as they are now", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/op-table.js", "--check"], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});

describe.each(Object.keys(OPS))("op %s", (name) => {
  test("has its order in docs/numerics.md", () => {
    expect(headings.filter((heading) => heading.match(/\w+/g)!.includes(name))).toHaveLength(1);
  });

  test("has a test of its kernels", () => {
    expect(existsSync(join(root, `test/kernels/${kebab(name)}.test.ts`))).toBe(true);
  });
});

import type { OpRow } from "#quipu/graph/op-row.js";
import { SAMPLE_FLOATS } from "#quipu/graph/ops.js";
import { parseRow, signatureOf } from "#quipu/graph/signatures.js";

const row = (operands: OpRow["operands"], rest: Partial<OpRow> = {}): OpRow => ({
  code: 0,
  operands,
  results: { out: ["T", "f32"] },
  ...rest,
});

test("letters are bound where they stand alone, then by what is left of a product", () => {
  const { letters, dims } = signatureOf("attention");
  const binding = dims.filter(({ dim }) => dim.binds >= 0).map(({ dim }) => [dim.text, letters[dim.binds]!.name]);
  expect(binding).toEqual([...["T", "pages", "G", "d", "S", "B"].map((letter) => [letter, letter]), ["n*G*d", "n"]]);
});

test("a field's names are as many as its operand has columns", () => {
  expect(signatureOf("sample").operands.find(({ name }) => name === "floats")!.dims[1]!.factor).toBe(
    SAMPLE_FLOATS.length,
  );
});

test.each<[string, OpRow, RegExp]>([
  ["two letters that only their product tells", row({ x: ["T a*b", "f32"] }), /op: a\*b cannot tell its letters apart/],
  [
    "a letter that only optional operands tell",
    row({ x: ["T", "i32"] }, { optional: { when: ["x", "i32"], operands: { y: ["a", "f32"] } } }),
    /no dim says what a is/,
  ],
  ["a letter that only a bound names", row({ x: ["T", "index a"] }), /no dim says what a is/],
  [
    "a result in the place of what is wider",
    row({ x: ["T", "weight"] }, { inPlace: { out: ["x"] } }),
    /out is not of the shape and dtype of x/,
  ],
  [
    "a result in the place of what is longer",
    row({ x: ["T 2", "f32"] }, { inPlace: { out: ["x"] } }),
    /out is not of the shape and dtype of x/,
  ],
  ["an operand that is none", row({ x: ["T", "like y"] }), /there is no operand y/],
])("a row with %s is refused", (_, wrong, message) => {
  expect(() => parseRow("op", wrong)).toThrow(message);
});

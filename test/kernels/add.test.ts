import { f32, i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, runExactly } from "./run-op.js";

// A task is 8192 elements: sizes below, at and above one and several.
const SHAPES = [
  [1, 1],
  [1, 15],
  [3, 16],
  [7, 17],
  [2, 33],
  [1, 8192],
  [5, 1639],
  [65, 420],
] as const;

test.each(SHAPES)("%i × %i, rounded once", async (...shape) => {
  const next = randomNumbers(shape[0] * shape[1]);
  const [a, b] = [randomF32(next, shape), randomF32(next, shape, 1e-3)];
  const { outputs } = await runExactly({ a, b }, (r, { a, b }) => [r.add(a, b)]);
  // f64 holds the sum of two f32 or rounds it innocuously (53 ≥ 2 · 24 + 2): Math.fround gives the correct rounding.
  expectSameBits(
    outputs[0]!,
    Float32Array.from(a.data, (x, i) => x + b.data[i]!),
    "out",
  );
});

test("in the memory of either operand, and to itself", async () => {
  const next = randomNumbers(2);
  const [a, b] = [randomF32(next, [3, 35]), randomF32(next, [3, 35])];
  const inputs = { a, b, rows: i32([3], [0, 1, 2]) };
  // Copies in the arena die in the addition, which takes over the memory of the first, or where that lives on, the second.
  const { outputs } = await runExactly(inputs, (r, { a, b, rows }) => {
    const first = r.gatherRows(a, rows);
    const sum = r.add(first, r.gatherRows(b, rows));
    const copy = r.gatherRows(a, rows);
    const other = r.add(copy, r.gatherRows(b, rows));
    const twice = r.add(copy, copy);
    return [r.gatherRows(sum, rows), r.gatherRows(other, rows), r.gatherRows(twice, rows)];
  });
  const sum = Float32Array.from(a.data, (x, i) => x + b.data[i]!);
  expectSameBits(outputs[0]!, sum, "over a");
  expectSameBits(outputs[1]!, sum, "over b");
  expectSameBits(
    outputs[2]!,
    Float32Array.from(a.data, (x) => 2 * x),
    "twice",
  );
});

test("zeros keep IEEE's signs, infinities and subnormals stay", async () => {
  const { POSITIVE_INFINITY: inf, NaN: nan } = Number;
  const a = f32([1, 7], [-0, 0, inf, inf, 2 ** -149, 3.4e38, nan]);
  const b = f32([1, 7], [-0, -0, 1, -inf, 2 ** -149, 3.4e38, 1]);
  const { outputs } = await runExactly({ a, b }, (r, { a, b }) => [r.add(a, b)]);
  expect([...outputs[0]!]).toEqual([-0, 0, inf, nan, 2 ** -148, inf, nan]);
});

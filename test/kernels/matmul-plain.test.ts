import { dot, gamma } from "./canonical.js";
import { randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer } from "./run-op.js";

/** b with rows for columns. */
const transposed = (b: Float32Array, rows: number, columns: number) =>
  Float32Array.from({ length: b.length }, (_, i) => b[(i % rows) * columns + Math.floor(i / rows)]!);

// Rows and columns at the edges of tiles and panels, depths at those of sixteen lanes and of blocks.
test.each([
  [1, 1, 1],
  [2, 16, 5],
  [7, 17, 33],
  [13, 40, 64],
  [33, 100, 31],
  [12, 1024, 16],
  [5, 1025, 7],
  [3, 2100, 35],
])("%i rows, %i deep, %i columns", async (rows, depth, columns) => {
  const next = randomNumbers(rows + depth + columns);
  const [a, b] = [randomF32(next, [rows, depth]), randomF32(next, [depth, columns])];
  const all = await runOnEveryTrainer({ a, b }, (r, { a, b }) => [r.record("matmulPlain", { a, b }).out!]);
  const across = transposed(b.data, depth, columns);
  const each = (of: (t: number, n: number) => number) =>
    Float64Array.from({ length: rows * columns }, (_, i) => of(Math.floor(i / columns), i % columns));
  const terms = (t: number, n: number) =>
    Array.from({ length: depth }, (_, k) => a.data[t * depth + k]! * across[n * depth + k]!);
  const exact = each((t, n) => terms(t, n).reduce((sum, term) => sum + term, 0));
  const sizes = each((t, n) => terms(t, n).reduce((sum, term) => sum + Math.abs(term), 0));
  // A lane's chain of a block, four halvings, the blocks; the reference rounds once.
  const roundings = Math.min(64, Math.ceil(depth / 16)) + 4 + Math.ceil(depth / 1024);
  for (const { device, outputs } of all)
    expectWithin(outputs[0]!, exact, (i) => gamma(roundings) * sizes[i]!, `${device} against f64`);
  const canonical = each((t, n) => dot(a.data, t * depth, across, n * depth, depth, 1024));
  expectSameBits(all[0]!.outputs[0]!, Float32Array.from(canonical), "against numerics.md");
});

test("the bits of matmul by what it is transposed from", async () => {
  const next = randomNumbers(9);
  const [rows, depth, columns] = [40, 1500, 50];
  const [a, b] = [randomF32(next, [rows, depth]), randomF32(next, [depth, columns])];
  const bT = { ...b, shape: [columns, depth], data: transposed(b.data, depth, columns) };
  const { outputs } = await runEverywhere({ a, b, bT }, (r, { a, b, bT }) => [
    r.record("matmulPlain", { a, b }).out!,
    r.matmul(a, bT),
  ]);
  expectSameBits(outputs[0]!, outputs[1]!, "against matmul");
});

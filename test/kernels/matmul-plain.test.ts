import { chain, gamma } from "./canonical.js";
import { randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

/** b with rows for columns. */
const transposed = (b: Float32Array, rows: number, columns: number) =>
  Float32Array.from({ length: b.length }, (_, i) => b[(i % rows) * columns + Math.floor(i / rows)]!);

// Rows and columns at the edges of tiles and panels and of the runs of them that tasks are, depths at those of blocks; b packed once and by
// every task.
test.each([
  [1, 1, 1],
  [2, 16, 5],
  [7, 17, 33],
  [13, 40, 64],
  [33, 100, 31],
  [12, 256, 16],
  [5, 257, 7],
  [40, 600, 35],
  [3, 1025, 35],
  [310, 9, 290],
  [25, 9, 290],
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
  // The chain of a block, the blocks; the reference rounds once.
  const roundings = Math.min(256, depth) + Math.ceil(depth / 256);
  for (const { device, outputs } of all)
    expectWithin(outputs[0]!, exact, (i) => gamma(roundings) * sizes[i]!, `${device} against f64`);
  const canonical = each((t, n) => chain(a.data, t * depth, across, n * depth, depth, 256));
  expectSameBits(all[0]!.outputs[0]!, Float32Array.from(canonical), "against numerics.md");
});

import { chain, fround, gamma } from "./canonical.js";
import { randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer } from "./run-op.js";

/** A matrix column after column. */
const columnsOf = (a: Float32Array, columns: number) =>
  Array.from({ length: columns }, (_, n) => a.filter((_, i) => i % columns === n));

test.each([
  [1, 1, 1],
  [16, 2, 5],
  [17, 7, 33],
  [40, 13, 64],
  [100, 33, 31],
  [256, 12, 16],
  [257, 5, 7],
  [600, 40, 35],
  [1025, 3, 35],
  [9, 310, 290],
])("%i rows: [%i, %i]", async (rows, features, columns) => {
  const next = randomNumbers(rows + features + columns);
  const [a, b] = [randomF32(next, [rows, features]), randomF32(next, [rows, columns])];
  const sum = randomF32(next, [features, columns]);
  const all = await runOnEveryTrainer({ a, b, sum }, (r, { a, b, sum }) => {
    r.record("matmulOverRows", { a, b, sum });
    return [];
  });
  const [ofA, ofB] = [columnsOf(a.data, features), columnsOf(b.data, columns)];
  const each = (of: (n: number, k: number, before: number) => number) =>
    Float64Array.from(sum.data, (before, i) => of(Math.floor(i / columns), i % columns, before));
  const exact = each((n, k, before) => ofA[n]!.reduce((total, x, t) => total + x * ofB[k]![t]!, before));
  const sizes = each((n, k, before) =>
    ofA[n]!.reduce((total, x, t) => total + Math.abs(x * ofB[k]![t]!), Math.abs(before)),
  );
  const roundings = Math.min(256, rows) + 1 + Math.ceil(rows / 256);
  for (const { device, state } of all)
    expectWithin(state.sum, exact, (i) => gamma(roundings) * sizes[i]!, `${device} against f64`);
  const canonical = each((n, k, before) => {
    let total = before;
    for (let first = 0; first < rows; first += 256)
      total = fround(total + chain(ofA[n]!, first, ofB[k]!, first, Math.min(256, rows - first), 256));
    return total;
  });
  expectSameBits(all[0]!.state.sum, Float32Array.from(canonical), "against numerics.md");
});

test("no rows change nothing", async () => {
  const next = randomNumbers(1);
  const inputs = { a: randomF32(next, [0, 3]), b: randomF32(next, [0, 5]), sum: randomF32(next, [3, 5]) };
  const { state } = await runEverywhere(inputs, (r, { a, b, sum }) => {
    r.record("matmulOverRows", { a, b, sum });
    return [];
  });
  expectSameBits(state.sum, inputs.sum.data, "sum");
});

test("256 rows and then others are the sums of all of them", async () => {
  const next = randomNumbers(4);
  const [a, b] = [randomF32(next, [700, 6]), randomF32(next, [700, 20])];
  const part = (of: typeof a, first: number, last: number) => {
    const [, width] = of.shape as [number, number];
    return { ...of, shape: [last - first, width], data: of.data.slice(first * width, last * width) };
  };
  const zeros = () => ({ dtype: "f32" as const, shape: [6, 20], data: new Float32Array(120) });
  const inputs = {
    ...{ a, b, whole: zeros(), parts: zeros() },
    ...{ a0: part(a, 0, 256), b0: part(b, 0, 256), a1: part(a, 256, 700), b1: part(b, 256, 700) },
  };
  const { state } = await runEverywhere(inputs, (r, { a, b, whole, parts, a0, b0, a1, b1 }) => {
    r.record("matmulOverRows", { a, b, sum: whole });
    const { sum } = r.record("matmulOverRows", { a: a0, b: b0, sum: parts });
    r.record("matmulOverRows", { a: a1, b: b1, sum: sum! });
    return [];
  });
  expectSameBits(state.parts, state.whole, "in two parts");
});

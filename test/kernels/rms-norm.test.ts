import { dot, fround, gamma } from "./canonical.js";
import { f32, i32, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { expectSameBits, expectWithin, isCuda, runEverywhere, runOnEveryDevice } from "./run-op.js";

const EPSILON = 1e-5;

type Rows = (x: Float32Array, width: number, weight: Float64Array, epsilon: number) => ArrayLike<number>;

const byRows =
  (scaleOf: (row: Float32Array, epsilon: number) => number, times: (a: number, b: number) => number): Rows =>
  (x, width, weight, epsilon) => {
    const rows = Array.from({ length: x.length / width }, (_, t) => x.subarray(t * width, (t + 1) * width));
    return rows.flatMap((row) => {
      const scale = scaleOf(row, fround(epsilon));
      return Array.from(row, (value, i) => times(times(value, scale), weight[i]!));
    });
  };

/** docs/numerics.md to the letter. */
const canonical = byRows(
  (row, epsilon) =>
    fround(1 / fround(Math.sqrt(fround(fround(dot(row, 0, row, 0, row.length) / row.length) + epsilon)))),
  (a, b) => fround(a * b),
);

const reference = byRows(
  (row, epsilon) => 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) / row.length + epsilon),
  (a, b) => a * b,
);

describe.each(WEIGHT_DTYPES)("rmsNorm with a weight of %s", (dtype) => {
  test.each([
    [1, 3],
    [15, 1],
    [16, 2],
    [17, 7],
    [33, 65],
    [420, 13],
    [2049, 2],
  ])("rows of %i: %i of them", async (width, rows) => {
    const next = randomNumbers(width);
    const x = randomF32(next, [rows, width], 4);
    const { contents: weight, values } = stored(dtype, randomF32(next, [width]));
    const all = await runOnEveryDevice({ x, weight }, (r, { x, weight }) => [r.rmsNorm(x, weight, EPSILON)]);
    const exact = reference(x.data, width, values, EPSILON);
    // The sum of squares (all positive) passes ⌈D/16⌉ fma and 4 additions, the mean and + ε one rounding each; the root
    // halves that and adds one, the reciprocal one, the two products two.
    const roundings = Math.ceil((Math.ceil(width / 16) + 4 + 2) / 2) + 4;
    for (const { device, outputs } of all) {
      const own = isCuda(device) ? 8 : 0; // its tree is of 256 threads
      const bound = (i: number) => gamma(roundings + own) * Math.abs(exact[i]!);
      expectWithin(outputs[0]!, exact, bound, `${device} against f64`);
    }
    expectSameBits(
      all[0]!.outputs[0]!,
      Float32Array.from(canonical(x.data, width, values, EPSILON)),
      "against numerics.md",
    );
  });
});

test("in the memory of x", async () => {
  const next = randomNumbers(5);
  const x = randomF32(next, [3, 35]);
  const weight = randomF32(next, [35]);
  const inputs = { x, weight, rows: i32([3], [0, 1, 2]) };
  const { outputs } = await runEverywhere(inputs, (r, { x, weight, rows }) => [
    r.gatherRows(r.rmsNorm(r.gatherRows(x, rows), weight, EPSILON), rows),
    r.rmsNorm(x, weight, EPSILON),
  ]);
  expectSameBits(outputs[0]!, outputs[1]!, "over x");
});

test("zeros, what overflows, and NaN", async () => {
  const x = f32(
    [4, 17],
    [0, 2e-38, 3e38, 1].flatMap((value) => new Array<number>(17).fill(value)),
  );
  x.data[3 * 17 + 16] = Number.NaN;
  const weight = f32([17], new Array<number>(17).fill(1));
  const { outputs } = await runEverywhere({ x, weight }, (r, { x, weight }) => [r.rmsNorm(x, weight, EPSILON)]);
  const row = (index: number) => outputs[0]!.subarray(index * 17, (index + 1) * 17);
  expect(new Set(row(0))).toEqual(new Set([0]));
  const tiny = canonical(x.data.slice(17, 34), 17, Float64Array.from(weight.data), EPSILON);
  expectSameBits(row(1), Float32Array.from(tiny), "tiny");
  expect(new Set(row(2))).toEqual(new Set([0])); // Σ x² = ∞, 1 / ∞ = 0
  expect(new Set(row(3))).toEqual(new Set([Number.NaN]));
});

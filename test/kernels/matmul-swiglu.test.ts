import { gamma } from "./canonical.js";
import { randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { expectSameBits, expectWithin, ownRoundings, runEverywhere, runOnEveryDevice } from "./run-op.js";

// Up to 8 rows in dot form, panels above; features around the panels' 16 and 32 and over several tasks; one block of k, its end,
// several.
const CASES = [1, 2, 3, 8, 9, 13, 65].flatMap((rows, i) =>
  [1, 15, 17, 49, rows < 3 ? 420 : 66].map((features, j) => {
    const depth = [1, 17, 1024, 1025, 2063, 40][(i + 2 * j) % 6]!;
    return { rows, features, depth, dtype: WEIGHT_DTYPES[(i + j) % 3]! };
  }),
);

test.each(CASES)("$rows × $depth by $features rows of $dtype: as two matmuls and swiglu", async (shape) => {
  const { rows, features, depth, dtype } = shape;
  const next = randomNumbers(rows * depth + features);
  const a = randomF32(next, [rows, depth]);
  const { contents: gate, values: gates } = stored(dtype, randomF32(next, [features, depth]));
  const { contents: up, values: ups } = stored(dtype, randomF32(next, [features, depth]));
  const devices = await runOnEveryDevice({ a, gate, up }, (r, { a, gate, up }) => [
    r.record("matmulSwiglu", { a, gate, up }).out!,
    r.swiglu(r.matmul(a, gate), r.matmul(a, up)),
  ]);
  const { outputs } = devices[0]!;
  expectSameBits(outputs[0]!, outputs[1]!, "against swiglu(matmul, matmul)");

  const product = (b: Float64Array, t: number, n: number): [number, number] => {
    let [sum, magnitude] = [0, 0];
    for (let k = 0; k < depth; k++) {
      const term = a.data[t * depth + k]! * b[n * depth + k]!;
      sum += term;
      magnitude += Math.abs(term);
    }
    return [sum, magnitude];
  };
  // As many roundings as a lane is long, and those of its tree and of the blocks.
  const roundings = Math.ceil(Math.min(depth, 1024) / 16) + 4 + Math.ceil(depth / 1024);
  for (const { device, outputs } of devices) {
    const bound = gamma(roundings) + ownRoundings(device, dtype, depth);
    const exact = new Float64Array(rows * features);
    const bounds = new Float64Array(rows * features);
    for (let i = 0; i < exact.length; i++) {
      const [t, n] = [Math.floor(i / features), i % features];
      const [[g, gSize], [u, uSize]] = [product(gates, t, n), product(ups, t, n)];
      const [gError, uError] = [bound * gSize, bound * uSize];
      const silu = g / (1 + Math.exp(-g));
      exact[i] = silu * u;
      // |silu′| ≤ 1.1; five roundings of swiglu itself, of a result as large as its operands may have become.
      const [siluError, size] = [1.1 * gError, Math.abs(silu) + 1.1 * gError];
      bounds[i] = siluError * Math.abs(u) + size * uError + gamma(5) * size * (Math.abs(u) + uError);
    }
    expectWithin(outputs[0]!, exact, (i) => bounds[i]!, `${device} against f64`);
  }
});

test.each([1, 20])("NaN and infinity stay in their feature (%i rows)", async (rows) => {
  const next = randomNumbers(8);
  const depth = 40;
  const [a, gate, up] = [randomF32(next, [rows, depth]), randomF32(next, [20, depth]), randomF32(next, [20, depth])];
  gate.data[3 * depth] = Number.NaN;
  up.data[19 * depth + 39] = Number.POSITIVE_INFINITY;
  const { outputs } = await runEverywhere({ a, gate, up }, (r, { a, gate, up }) => [
    r.record("matmulSwiglu", { a, gate, up }).out!,
  ]);
  outputs[0]!.forEach((value, i) => {
    expect(Number.isFinite(value)).toBe(i % 20 !== 3 && i % 20 !== 19);
  });
});

test("no rows, no features", async () => {
  for (const [rows, features] of [
    [0, 3],
    [3, 0],
    [20, 0],
  ] as const) {
    const inputs = {
      a: randomF32(randomNumbers(1), [rows, 5]),
      gate: randomF32(randomNumbers(2), [features, 5]),
      up: randomF32(randomNumbers(3), [features, 5]),
    };
    const { outputs } = await runEverywhere(inputs, (r, given) => [r.record("matmulSwiglu", { ...given }).out!]);
    expect(outputs[0]).toHaveLength(0);
  }
});

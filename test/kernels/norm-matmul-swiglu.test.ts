import { randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { FORMATS, matrix, matrixIn } from "./matrices.js";
import { expectSameBits, runOnEveryDevice } from "./run-op.js";

// Every form of the product; depths around the blocks of packed formats and of the sums.
const CASES = [1, 2, 3, 9, 17, 33, 65].flatMap((rows, i) =>
  FORMATS.map((format, j) => ({
    ...{ rows, format, norm: WEIGHT_DTYPES[(i + j) % 3]! },
    depth: [1, 33, 64, 100, 257, 1025][(i + j) % 6]!,
    features: [1, 15, 17, 49, 66][(2 * i + j) % 5]!,
  })),
);

test.each(CASES)("$rows × $depth by $features rows of $format: as rmsNorm and matmulSwiglu", async (shape) => {
  const { rows, depth, features, format } = shape;
  const next = randomNumbers(rows * depth + features);
  const inputs = {
    x: randomF32(next, [rows, depth], 3),
    norm: stored(shape.norm, randomF32(next, [depth])).contents,
    ...matrix("gate", format, features, depth, next),
    ...matrix("up", format, features, depth, next),
  };
  const devices = await runOnEveryDevice(inputs, (r, values) => {
    const [gate, up] = [matrixIn(r, values, "gate"), matrixIn(r, values, "up")];
    const { x, norm } = values;
    return [
      r.record("normMatmulSwiglu", { x, norm, gate, up }, { epsilon: 1e-5 }).out!,
      r.record("matmulSwiglu", { a: r.rmsNorm(x, norm, 1e-5), gate, up }).out!,
    ];
  });
  for (const { device, outputs } of devices) expectSameBits(outputs[0]!, outputs[1]!, device);
});

test("no rows, no features", async () => {
  for (const [rows, features] of [
    [0, 3],
    [3, 0],
    [40, 0],
  ] as const) {
    const next = randomNumbers(1);
    const inputs = {
      x: randomF32(next, [rows, 5]),
      norm: randomF32(next, [5]),
      gate: randomF32(next, [features, 5]),
      up: randomF32(next, [features, 5]),
    };
    for (const { outputs } of await runOnEveryDevice(inputs, (r, values) => [
      r.record("normMatmulSwiglu", values, { epsilon: 1e-5 }).out!,
    ]))
      expect(outputs[0]).toHaveLength(0);
  }
});

import { i32, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { FORMATS, matrix, matrixIn } from "./matrices.js";
import { expectSameBits, runOnEveryDevice } from "./run-op.js";

const CASES = FORMATS.flatMap((format, i) =>
  [1, 15, 16, 33, 257, 420].map((width, j) => ({ format, width, norm: WEIGHT_DTYPES[(i + j) % 3]! })),
);

test.each(CASES)("rows of $width of $format: as gatherRows and rmsNorm", async ({ format, width, norm }) => {
  const next = randomNumbers(width);
  const inputs = {
    ...matrix("table", format, 19, width, next),
    ids: i32([6], [18, -1, 0, 19, 7, 2 ** 31 - 1]),
    weight: stored(norm, randomF32(next, [width])).contents,
  };
  const devices = await runOnEveryDevice(inputs, (r, values) => {
    const table = matrixIn(r, values, "table");
    const { ids, weight } = values;
    return [
      r.record("gatherNorm", { table, ids, weight }, { epsilon: 1e-5 }).out!,
      r.rmsNorm(r.gatherRows(table, ids), weight, 1e-5),
    ];
  });
  for (const { device, outputs } of devices) expectSameBits(outputs[0]!, outputs[1]!, device);
  expect(devices[0]!.outputs[0]!.subarray(width, 2 * width).every((x) => x === 0)).toBe(true);
});

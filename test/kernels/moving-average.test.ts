import { fma, fround } from "./canonical.js";
import { f32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

test.each([0, 1, 15, 17, 8192, 8193])("%i elements", async (count) => {
  const next = randomNumbers(count);
  const inputs = { value: randomF32(next, [count], 3), average: randomF32(next, [count]), share: f32([1], [0.3]) };
  const share = fround(0.3);
  const expected = inputs.average.data.map((before, i) => fma(share, fround(inputs.value.data[i]! - before), before));
  for (const { device, state } of await runOnEveryTrainer(inputs, (r, i) => {
    r.movingAverage(i);
    return [];
  })) {
    if (device !== "reference") expectSameBits(state.average, expected, device);
    expectWithin(state.average, expected, () => 2 ** -20, `${device} against f64`);
  }
});

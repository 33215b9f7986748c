import { fround } from "./canonical.js";
import { randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, runOnEveryTrainer } from "./run-op.js";

test.each([
  [1, 1],
  [3, 15],
  [7, 17],
  [1, 8192],
  [3, 2731],
])("%i × %i", async (...shape) => {
  const next = randomNumbers(shape[0] * shape[1]);
  const [value, sum] = [randomF32(next, shape), randomF32(next, shape, 1e-3)];
  const expected = sum.data.map((before, i) => fround(before + value.data[i]!));
  for (const { device, state } of await runOnEveryTrainer({ value, sum }, (r, { value, sum }) => {
    r.record("accumulate", { value, sum });
    return [];
  })) {
    expectSameBits(state.sum, expected, device);
  }
});

import { fma, fround } from "./canonical.js";
import { randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

test.each([
  [0, 3],
  [1, 1],
  [3, 5],
  [1, 8193],
  [130, 191],
])("%i × %i", async (...shape) => {
  const next = randomNumbers(shape[1]);
  const [a, b] = [randomF32(next, shape, 3), randomF32(next, shape)];
  const [alpha, beta] = [-4.775, 2.0315];
  const expected = a.data.map((value, i) => fma(fround(alpha), value, fround(fround(beta) * b.data[i]!)));
  for (const { device, outputs } of await runOnEveryTrainer({ a, b }, (r, { a, b }) => [
    r.combine(alpha, a, beta, b),
  ])) {
    if (device !== "reference") expectSameBits(outputs[0]!, expected, device);
    expectWithin(outputs[0]!, expected, () => 2 ** -19, `${device} against f64`);
  }
});

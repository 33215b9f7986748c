import { dot, fround, gamma } from "./canonical.js";
import { f32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runOnEveryTrainer } from "./run-op.js";

const EPSILON = 1e-7;

test.each([
  [0, 3],
  [1, 1],
  [3, 5],
  [1, 8193],
  [130, 191],
])("%i × %i", async (...shape) => {
  const x = randomF32(randomNumbers(shape[0]), shape, 3);
  const count = x.data.length;
  let squares = 0;
  for (let first = 0; first < count; first += 8192)
    squares += dot(x.data, first, x.data, first, Math.min(8192, count - first));
  const inverse = fround(1 / fround(fround(Math.sqrt(fround(squares))) + fround(EPSILON)));
  const expected = x.data.map((value) => fround(value * inverse));
  const norm = Math.sqrt(x.data.reduce((sum, value) => sum + value * value, 0)) + EPSILON;
  for (const { device, outputs } of await runOnEveryTrainer({ x }, (r, { x }) => [r.divideByNorm(x, EPSILON)])) {
    if (device !== "reference") expectSameBits(outputs[0]!, expected, device);
    const exact = x.data.map((value) => value / norm);
    expectWithin(outputs[0]!, exact, (i) => gamma(512 + 9) * Math.abs(exact[i]!), `${device} against f64`);
  }
});

test("zeros stay zeros", async () => {
  const x = f32([2, 9], new Float32Array(18));
  for (const { device, outputs } of await runOnEveryTrainer({ x }, (r, { x }) => [r.divideByNorm(x, EPSILON)]))
    expectSameBits(outputs[0]!, x.data, device);
});

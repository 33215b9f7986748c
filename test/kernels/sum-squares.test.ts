import { dot, fround, gamma } from "./canonical.js";
import { f32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer } from "./run-op.js";

test.each([0, 1, 15, 17, 8192, 8193, 30_000])("%i elements", async (count) => {
  const x = randomF32(randomNumbers(count), [count], 3);
  const all = await runOnEveryTrainer({ x }, (r, { x }) => [r.sumSquares(x)]);
  let canonical = 0;
  for (let first = 0; first < count; first += 8192)
    canonical += dot(x.data, first, x.data, first, Math.min(8192, count - first));
  expectSameBits(all[0]!.outputs[0]!, Float32Array.of(fround(canonical)), "against numerics.md");
  const exact = x.data.reduce((sum, value) => sum + value * value, 0);
  for (const { device, outputs } of all)
    expectWithin(outputs[0]!, [exact], () => gamma(512 + 5) * exact, `${device} against f64`);
});

test("what overflows, and a NaN", async () => {
  const x = f32([2], [3e38, 1]);
  const nan = f32([2], [Number.NaN, 1]);
  const { outputs } = await runEverywhere({ x, nan }, (r, { x, nan }) => [r.sumSquares(x), r.sumSquares(nan)]);
  expect([outputs[0]![0], outputs[1]![0]]).toEqual([Number.POSITIVE_INFINITY, Number.NaN]);
});

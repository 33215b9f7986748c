import { gamma } from "./canonical.js";
import { f32, i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer } from "./run-op.js";

test.each([
  [1, 1],
  [3, 17],
  [4, 513],
  [2, 4100],
])("%i rows of %i logits", async (rows, V) => {
  const next = randomNumbers(rows * V);
  const logits = randomF32(next, [rows, V], 12);
  const targets = i32(
    [rows],
    Array.from({ length: rows }, (_, t) => (t === 2 ? V : Math.floor(((next() + 1) / 2) * V))),
  );
  const exact = Float64Array.from(targets.data, (target, t) => {
    if (target >= V) return 0;
    const row = logits.data.subarray(t * V, (t + 1) * V);
    return row[target]! - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
  });
  // The differences of logits, of up to 24, are rounded before exp.
  for (const { device, outputs } of await runOnEveryTrainer({ logits, targets }, (r, { logits, targets }) => [
    r.tokenLogprobs(logits, targets),
  ]))
    expectWithin(outputs[0]!, exact, (t) => gamma(60) + gamma(2) * Math.abs(exact[t]!), `${device} against f64`);
});

test("what crossEntropy has for a loss, and a NaN", async () => {
  const next = randomNumbers(1);
  const logits = randomF32(next, [4, 1000], 7);
  logits.data[1500] = Number.NaN;
  const inputs = { logits, targets: i32([4], [0, 7, -1, 999]), weights: f32([4], [1, 1, 1, 1]) };
  const { outputs } = await runEverywhere(inputs, (r, { logits, targets, weights }) => [
    r.tokenLogprobs(logits, targets),
    r.crossEntropy(logits, targets, weights).losses,
  ]);
  expectSameBits(
    outputs[0]!.map((x) => 0 - x),
    outputs[1]!,
    "negated",
  );
  expect(outputs[0]![1]).toBe(Number.NaN);
});

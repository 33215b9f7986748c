import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { exp, fround, gamma, sumLanes } from "./canonical.js";
import { f32, i32, randomF32, randomNumbers } from "./contents.js";
import { expectSameBits, expectWithin, runEverywhere, runOnEveryTrainer } from "./run-op.js";

/** What a row's softmax is made of, to the letter of docs/numerics.md. */
function massOf(row: Float32Array) {
  const greatest = row.reduce((most, x) => Math.max(most, x), Number.NEGATIVE_INFINITY);
  const weights = row.map((x) => exp(fround(x - greatest)));
  let sum = 0;
  for (let first = 0; first < row.length; first += 512) {
    const lanes = new Float32Array(16);
    for (let i = first; i < Math.min(first + 512, row.length); i++)
      lanes[i % 16] = fround(lanes[i % 16]! + weights[i]!);
    sum += sumLanes(lanes);
  }
  return { greatest, weights, sum };
}

const record = (r: Recorder, { logits, targets, weights }: Record<"logits" | "targets" | "weights", Value>) => {
  const { losses, dLogits } = r.crossEntropy(logits, targets, weights);
  return [losses, dLogits];
};

test.each([
  [1, 1],
  [2, 2],
  [3, 17],
  [5, 512],
  [4, 513],
  [2, 4100],
])("%i rows of %i logits", async (rows, V) => {
  const next = randomNumbers(rows * V);
  const logits = randomF32(next, [rows, V], 12);
  const targets = i32(
    [rows],
    Array.from({ length: rows }, (_, t) => (t === 2 ? -1 : Math.floor(((next() + 1) / 2) * V))),
  );
  const weights = f32(
    [rows],
    Array.from({ length: rows }, (_, t) => (t === 3 ? 0 : 0.25 + t)),
  );
  const all = await runOnEveryTrainer({ logits, targets, weights }, record);
  const exactLosses = new Float64Array(rows);
  const exact = new Float64Array(rows * V);
  const bounds = new Float64Array(rows * V);
  const canonical = new Float32Array(rows * V);
  for (let t = 0; t < rows; t++) {
    const [target, weight] = [targets.data[t]!, weights.data[t]!];
    if (target < 0) continue;
    const row = logits.data.subarray(t * V, (t + 1) * V);
    const mass = massOf(row);
    const share = fround(1 / mass.sum);
    const total = row.reduce((sum, x) => sum + Math.exp(x - mass.greatest), 0);
    exactLosses[t] = weight * (Math.log(total) - (row[target]! - mass.greatest));
    for (let i = 0; i < V; i++) {
      canonical[t * V + i] = fround(fround(mass.weights[i]! * share) * weight);
      const p = Math.exp(row[i]! - mass.greatest) / total;
      exact[t * V + i] = weight * (p - (i === target ? 1 : 0));
      // The difference of logits is rounded, of up to 24; exp, the share and two products. The target's is a difference from 1.
      bounds[t * V + i] = weight * (p * gamma(60) + (i === target ? gamma(1) : 0)) + 2 ** -149;
    }
    canonical[t * V + target] = fround(canonical[t * V + target]! - weight);
  }
  expectSameBits(all[0]!.outputs[1]!, canonical, "dLogits against numerics.md");
  for (const { device, outputs } of all) {
    expectWithin(
      outputs[0]!,
      exactLosses,
      (t) => weights.data[t]! * gamma(60) + gamma(2) * exactLosses[t]!,
      `losses, ${device}`,
    );
    expectWithin(outputs[1]!, exact, (i) => bounds[i]!, `dLogits, ${device}`);
  }
});

test("targets that are no id, a NaN and an infinite logit", async () => {
  const logits = f32(
    [4, 3],
    [1, 2, 3, 1, Number.NaN, 3, 1, Number.POSITIVE_INFINITY, 0, Number.NEGATIVE_INFINITY, 0, 0],
  );
  const inputs = { logits, targets: i32([4], [3, 0, 0, 1]), weights: f32([4], [1, 1, 1, 1]) };
  const { outputs } = await runEverywhere(inputs, record);
  const [losses, dLogits] = outputs;
  expect(Array.from(losses!)).toEqual([0, Number.NaN, Number.NaN, fround(Math.LN2)]);
  expect(Array.from(dLogits!.subarray(0, 3))).toEqual([0, 0, 0]);
  expect(Array.from(dLogits!.subarray(3, 6)).every(Number.isNaN)).toBe(true);
  expect(Array.from(dLogits!.subarray(9))).toEqual([0, -0.5, 0.5]);
});

test("in the memory of the logits", async () => {
  const next = randomNumbers(3);
  const inputs = {
    ...{ logits: randomF32(next, [3, 70], 5), targets: i32([3], [1, 69, 7]), weights: f32([3], [1, 2, 3]) },
    rows: i32([3], [0, 1, 2]),
  };
  const { outputs } = await runEverywhere(inputs, (r, { logits, rows, ...others }) => {
    const over = record(r, { logits: r.gatherRows(logits, rows), ...others });
    return [r.gatherRows(over[1]!, rows), record(r, { logits, ...others })[1]!];
  });
  expectSameBits(outputs[0]!, outputs[1]!, "over the logits");
});

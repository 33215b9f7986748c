// Steps: what they learn, what they leave out, and that they go on as they were.
import { type Device, openDevice } from "#quipu/device/device.js";
import { createTrainingRuntime, type StepSettings, type TrainingBatch } from "#quipu/train/training-runtime.js";
import { expectSameBits } from "../kernels/run-op.js";
import { packed, randomDocument, stateOf, TINY, tinyRuntime } from "./batches.js";

let device: Device;
beforeAll(() => {
  device = openDevice({ threads: 2 });
});
afterAll(() => device.dispose());

const settings = (step: number, more: Partial<StepSettings> = {}): StepSettings => ({
  step,
  rate: 0.01,
  weightDecay: 0.1,
  ...more,
});
const documents = (seed: number) =>
  packed([20, 30].map((length, i) => randomDocument(seed * 2 + i, length, TINY.vocabSize)));

test("four documents are learned by heart", async () => {
  const runtime = await createTrainingRuntime(
    device,
    { ...TINY, hiddenSize: 48, headSize: 12, intermediateSize: 96 },
    { batchTokens: 80, maxDocuments: 4 },
  );
  await runtime.initialise(1);
  // Each begins with an id of its own.
  const batch = packed([0, 1, 2, 3].map((i) => [i, ...randomDocument(i, 19, TINY.vocabSize)]));
  const first = await runtime.evaluate(batch);
  expect(first.loss / first.weight).toBeCloseTo(Math.log(TINY.vocabSize), 1);
  let loss = Number.POSITIVE_INFINITY;
  for (let step = 1; step <= 200 && loss >= 0.05; step++) {
    void runtime.accumulate(batch);
    loss = (await runtime.step(settings(step, { weightDecay: 0 }))).loss;
  }
  expect(loss).toBeLessThan(0.05);
  runtime.dispose();
});

test("gradients of micro-batches add up to those of one, and a step forgets them", async () => {
  const [one, two] = [documents(1), documents(2)];
  const join = (of: keyof TrainingBatch) => [
    ...one[of],
    ...(of === "slots" ? two.slots.map((slot) => slot + 2) : two[of]),
  ];
  const both: TrainingBatch = {
    ...{
      ids: Int32Array.from(join("ids")),
      targets: Int32Array.from(join("targets")),
      slots: Int32Array.from(join("slots")),
    },
    ...{ positions: Int32Array.from(join("positions")), weights: Float32Array.from(join("weights")) },
  };
  const results = [];
  for (const batches of [[both], [one, two]]) {
    const runtime = await tinyRuntime(device, TINY, { batchTokens: 100 });
    for (const step of [1, 2]) {
      for (const batch of batches) void runtime.accumulate(batch);
      const result = await runtime.step(settings(step, { clip: Number.POSITIVE_INFINITY }));
      results.push([result.loss, result.gradientNorm]);
    }
    runtime.dispose();
  }
  const [whole, wholeNext, parts, partsNext] = results as [number, number][];
  for (const i of [0, 1]) {
    expect(parts![i]! / whole![i]!).toBeCloseTo(1, 5);
    expect(partsNext![i]! / wholeNext![i]!).toBeCloseTo(1, 3);
  }
});

test("AdamW's step is what it says: decay of matrices alone, clipped by the norm of all", async () => {
  const runtime = await tinyRuntime(device, TINY);
  const before = new Map<string, Float32Array>();
  for (const name of runtime.shapes.keys()) before.set(name, await runtime.read(name));
  await runtime.accumulate(documents(1));
  const gradients = new Map<string, Float32Array>();
  for (const name of runtime.shapes.keys()) gradients.set(name, await runtime.read(name, "gradient"));
  const weight = 48;
  const norm = Math.hypot(...[...gradients.values()].map((values) => Math.hypot(...values))) / weight;
  const { gradientNorm, skipped } = await runtime.step(settings(1, { clip: norm / 2 }));
  expect([gradientNorm / norm, skipped]).toEqual([expect.closeTo(1, 5), false]);
  for (const [name, shape] of runtime.shapes) {
    const [after, momentum] = [await runtime.read(name), await runtime.read(name, "momentum")];
    const decay = shape.length === 2 ? 0.1 : 0;
    before.get(name)!.forEach((value, i) => {
      const g = gradients.get(name)![i]! / weight / 2;
      expect(Math.abs(momentum[i]! - 0.1 * g)).toBeLessThan(1e-5 * Math.abs(g) + 1e-12);
      const step = Math.abs(g) < 1e-6 ? 0 : Math.sign(g); // the first one is as long whatever g is, but beside epsilon
      if (step !== 0) expect(after[i]! - (value * (1 - 0.01 * decay) - 0.01 * step)).toBeCloseTo(0, 3);
    });
  }
  runtime.dispose();
});

test("a gradient that is no number, or too long, changes nothing but that it is forgotten", async () => {
  const runtime = await tinyRuntime(device, TINY);
  const before = await stateOf(runtime);
  await runtime.accumulate(documents(1));
  const long = await runtime.step(settings(1, { skipAbove: 1e-3 }));
  expect(long).toMatchObject({ skipped: true, gradientNorm: expect.any(Number) });
  const name = "model.layers.0.mlp.up_proj.weight";
  const good = await runtime.read(name);
  await runtime.write(
    name,
    good.map((value, i) => (i === 7 ? Number.NaN : value)),
  );
  await runtime.accumulate(documents(1));
  const wrong = await runtime.step(settings(1));
  expect([wrong.skipped, wrong.loss, wrong.gradientNorm]).toEqual([true, Number.NaN, Number.NaN]);
  await runtime.write(name, good);
  for (const [i, values] of (await stateOf(runtime)).entries()) expectSameBits(values, before[i]!, `state ${i}`);
  await runtime.accumulate(documents(2));
  expect((await runtime.step(settings(1))).skipped).toBe(false);
  runtime.dispose();
});

test("goes on bit for bit where parameters and moments are put back", async () => {
  const run = async (steps: readonly number[], from?: Float32Array[]) => {
    const runtime = await tinyRuntime(device, TINY);
    let i = 0;
    for (const name of from === undefined ? [] : runtime.shapes.keys())
      for (const part of ["parameter", "momentum", "variance"] as const) await runtime.write(name, from![i++]!, part);
    for (const step of steps) {
      void runtime.accumulate(documents(step));
      await runtime.step(settings(step));
    }
    const state = await stateOf(runtime);
    runtime.dispose();
    return state;
  };
  const whole = await run([1, 2, 3, 4, 5, 6]);
  const resumed = await run([4, 5, 6], await run([1, 2, 3]));
  for (const [i, values] of whole.entries()) expectSameBits(resumed[i]!, values, `state ${i}`);
});

test.each<[string, Partial<Record<keyof TrainingBatch, number[]>>, RegExp]>([
  ["an id that is none", { ids: [1, 61] }, /row 1 .*expected an id below 61, got 61/],
  ["a target that is none", { targets: [-2, 1] }, /row 0 .*expected a target below 61 or −1, got -2/],
  ["a document's end alone", { positions: [1, 2] }, /row 0 .*expected the position 0, .*got 1/],
  ["a position left out", { positions: [0, 2] }, /row 1 .*expected the position 1, .*got 2/],
  ["a slot too many", { slots: [4, 4] }, /row 0 .*expected a slot below 4/],
  [
    "a slot that comes again",
    { ids: [1, 2, 3], targets: [-1, 2, 1], weights: [1, 1, 1], slots: [0, 1, 0], positions: [0, 0, 0] },
    /row 2 .*the rows of one adjacent, got 0/,
  ],
  ["arrays of two lengths", { weights: [1] }, /expected arrays of one length of at most 96/],
])("%s is refused", async (_, change, why) => {
  const runtime = await tinyRuntime(device, TINY);
  const { ids, targets, weights, slots, positions } = {
    ids: [1, 2],
    targets: [2, -1],
    weights: [1, 1],
    slots: [0, 0],
    positions: [0, 1],
    ...change,
  };
  const batch = {
    ...{ ids: Int32Array.from(ids), targets: Int32Array.from(targets), slots: Int32Array.from(slots) },
    ...{ positions: Int32Array.from(positions), weights: Float32Array.from(weights) },
  };
  expect(() => runtime.accumulate(batch)).toThrow(why);
  await expect(runtime.step(settings(1))).rejects.toThrow(/a step of no losses/);
  runtime.dispose();
});

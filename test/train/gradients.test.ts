// Gradients of whole models: against the reference device, which is f64, and in every way that must not change them.
import { Device, openDevice } from "#quipu/device/device.js";
import type { LlamaConfig } from "#quipu/model/config.js";
import { planTraining } from "#quipu/train/training-runtime.js";
import { expectSameBits, setups } from "../kernels/run-op.js";
import { gradientsOf, packed, randomDocument, TINY, tinyRuntime } from "./batches.js";

const BATCH = packed([70, 1, 15].map((length, i) => randomDocument(i, length, TINY.vocabSize)));

const CONFIGS: Readonly<Record<string, LlamaConfig>> = {
  "grouped queries, untied": TINY,
  "one query head to a key/value head, tied": { ...TINY, kvHeads: 4, tiedEmbeddings: true },
  "one key/value head, llama3 scaling": {
    ...{ ...TINY, kvHeads: 1, headSize: 8 },
    rope: {
      theta: 500,
      scaling: { type: "llama3", factor: 4, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 32 },
    },
  },
};

async function gradients(device: Device, config: LlamaConfig, options = {}) {
  const runtime = await tinyRuntime(device, config, options);
  const { loss, weight } = await runtime.accumulate(BATCH);
  const result = { loss, weight, gradients: await gradientsOf(runtime) };
  runtime.dispose();
  return result;
}

describe.each(Object.entries(CONFIGS))("%s", (_, config) => {
  test("as in f64", async () => {
    const reference = openDevice({ device: "reference" });
    const device = openDevice({ threads: 2 });
    const [expected, given] = [await gradients(reference, config), await gradients(device, config)];
    await Promise.all([reference.dispose(), device.dispose()]);
    expect(given.weight).toBe(BATCH.targets.filter((target) => target >= 0).length);
    expect(Math.abs(given.loss - expected.loss)).toBeLessThan(1e-5 * expected.loss);
    for (const [name, exact] of expected.gradients) {
      const size = Math.hypot(...exact);
      const off = Math.hypot(...given.gradients.get(name)!.map((value, i) => value - exact[i]!));
      expect(size).toBeGreaterThan(1e-3);
      if (off > 1e-4 * size) throw new Error(`${name}: off by ${off} of ${size}`);
    }
  });
});

test("the same bits on every instruction set and thread count, computed again or not, fused or not", async () => {
  const each = async (device: Device, options = {}) => {
    const result = await gradients(device, TINY, options);
    await device.dispose();
    return result;
  };
  const expected = await each(new Device("cpu", "scalar", 1));
  const others: [string, Device, object][] = setups()
    .slice(1)
    .map(({ target, threads }) => [`${target}, ${threads} threads`, new Device("cpu", target, threads), {}]);
  others.push(["computed again", openDevice(), { recompute: true }], ["unfused", openDevice({ fuse: false }), {}]);
  for (const [where, device, options] of others) {
    const { loss, gradients } = await each(device, options);
    expect(loss).toBe(expected.loss);
    for (const [name, values] of expected.gradients) expectSameBits(gradients.get(name)!, values, `${name}, ${where}`);
  }
});

test("documents do not see each other: packed, their losses are those of each alone", async () => {
  const device = openDevice({ threads: 2 });
  const runtime = await tinyRuntime(device, TINY);
  const documents = [40, 7, 30].map((length, i) => randomDocument(i, length, TINY.vocabSize));
  const together = await runtime.evaluate(packed(documents));
  const alone = [];
  for (const document of documents) alone.push(await runtime.evaluate(packed([document])));
  expect(together.loss).toBeCloseTo(
    alone.reduce((sum, { loss }) => sum + loss, 0),
    10,
  );
  const learned = await runtime.accumulate(packed(documents));
  expect(Math.abs(learned.loss - together.loss)).toBeLessThan(1e-5 * together.loss);
  runtime.dispose();
  await device.dispose();
});

test("weights scale the gradients of their rows, and rows without a target have none", async () => {
  const device = openDevice({ threads: 2 });
  const runtime = await tinyRuntime(device, TINY);
  const of = async (batch: typeof BATCH) => {
    const result = await runtime.accumulate(batch);
    const all = await gradientsOf(runtime);
    for (const [name, values] of all) await runtime.write(name, new Float32Array(values.length), "gradient");
    return { ...result, all };
  };
  const whole = await of(BATCH);
  const half = await of({ ...BATCH, weights: BATCH.weights.map(() => 0.5) });
  const none = await of({ ...BATCH, targets: BATCH.targets.map(() => -1) });
  expect([half.loss, half.weight]).toEqual([whole.loss / 2, whole.weight / 2]);
  expect([none.loss, none.weight]).toEqual([0, 0]);
  for (const [name, values] of whole.all) {
    expectSameBits(
      half.all.get(name)!,
      values.map((value) => value / 2),
      name,
    ); // powers of two round nothing
    expect(Math.hypot(...none.all.get(name)!)).toBe(0);
  }
  runtime.dispose();
  await device.dispose();
});

test("more parameters than a size can say are refused, before any memory is taken", () => {
  const huge = { ...TINY, layers: 32, hiddenSize: 4096, intermediateSize: 14336, heads: 32, headSize: 128, kvHeads: 8 };
  expect(() => planTraining(huge, { batchTokens: 16, maxDocuments: 1 }, { threads: 1 })).toThrow(
    expect.objectContaining({
      code: "ERR_MODEL_UNSUPPORTED",
      message: expect.stringMatching(/the model has \d{10} parameters: .* fewer than 4\.29 billion/),
    }),
  );
});

describe("what it takes", () => {
  const plan = (options: object) =>
    planTraining(TINY, { batchTokens: 512, maxDocuments: 8, ...options }, { threads: 1 });

  test("parameters, and four numbers for each", () => {
    const { parameters, state } = plan({});
    const { vocabSize: V, hiddenSize: D, intermediateSize: F, headSize: d, heads, kvHeads, layers } = TINY;
    const layer = 2 * D + D * d * (2 * heads + 2 * kvHeads) + 3 * D * F;
    expect(parameters).toBe(2 * V * D + D + layers * layer);
    expect(state).toBeGreaterThan(16 * parameters);
  });

  test("logits of so many rows as are asked for", () => {
    const vocabulary = { ...TINY, vocabSize: 20_000 };
    const arenaOf = (lossRows: number) =>
      planTraining(vocabulary, { batchTokens: 512, maxDocuments: 8, lossRows }, { threads: 1 }).arena;
    const rowBytes = 4 * vocabulary.vocabSize;
    // Packed for the products, too: twice.
    expect(arenaOf(512) - arenaOf(64)).toBeGreaterThan(1.9 * (512 - 64) * rowBytes);
  });

  test("activations of one layer, where they are computed again", () => {
    const deep = { ...TINY, layers: 12 };
    const arenaOf = (recompute: boolean) =>
      planTraining(deep, { batchTokens: 512, maxDocuments: 8, lossRows: 64, recompute }, { threads: 1 }).arena;
    expect(arenaOf(true)).toBeLessThan(0.5 * arenaOf(false));
  });

  test("as it is when it has run", async () => {
    const device = openDevice({ threads: 1 });
    const runtime = await tinyRuntime(device, TINY);
    await runtime.accumulate(BATCH);
    await runtime.evaluate(BATCH);
    await runtime.step({ step: 1, rate: 0, weightDecay: 0 });
    const { state, arena } = planTraining(TINY, { batchTokens: 96, maxDocuments: 4, lossRows: 40 }, { threads: 1 });
    expect(device.memory()).toEqual({ state, arena });
    runtime.dispose();
    await device.dispose();
  });
});

// The same runtime on every device: whole models on the reference device (float64, native/reference) against the CPU and
// against transformers, and what a device keeps apart: rows that fail alone.
import { join } from "node:path";
import type { KvCacheType } from "#quipu/model/kv-cache.js";
import { type Runtime, type SampledRow, tokenOf } from "#quipu/model/runtime.js";
import { copyAltered } from "../altered-checkpoint.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { firstWrongToken, LOGIT_TOLERANCE, loadTiny, tinyNames } from "./reference.js";
import { type RuntimeOptions, rowAt, rows, someIds, withRuntime } from "./run-model.js";

/**
 * max |Δ| of the two devices' logits at a position, as a share of the greatest there (docs/numerics.md). Both round every activation
 * to f32 and differ in the roundings within sums: 1.2 to 2.7e-6 over these checkpoints.
 */
const AGREEMENT = 1e-5;

const GREEDY = {
  ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: 0 },
  logitBias: new Map<number, number>(),
};

async function logitsOf(dir: string, ids: Int32Array, options: RuntimeOptions): Promise<Float32Array> {
  return withRuntime(dir, options, async (runtime) => {
    const prompt = rows(ids);
    return runtime.logits(prompt, [...prompt.keys()]);
  });
}

async function greedy(runtime: Runtime, ids: Int32Array, count: number): Promise<number[]> {
  const prompt = rows(ids);
  await runtime.prepare(0, GREEDY, ids, []);
  const [first] = await runtime.sample(prompt, [prompt.length - 1], 1);
  const said = [tokenOf(first!).id];
  const decoder = runtime.decoder({ id: said[0]!, slot: 0, position: ids.length }, 1);
  while (said.length < count) said.push((await decoder.next()).id);
  decoder.release();
  return said;
}

/** The greatest relative difference at any position. */
function difference(a: Float32Array, b: Float32Array, vocabSize: number): number {
  let worst = 0;
  for (let position = 0; position < a.length / vocabSize; position++) {
    const [left, right] = [rowAt(a, position, vocabSize), rowAt(b, position, vocabSize)];
    const scale = right.reduce((greatest, x) => Math.max(greatest, Math.abs(x)), 0);
    for (let id = 0; id < vocabSize; id++) worst = Math.max(worst, Math.abs(left[id]! - right[id]!) / scale);
  }
  return worst;
}

describe.each(tinyNames())("tiny checkpoint %s", (name) => {
  const { folder, prompts, vocabSize } = loadTiny(name);

  test("the reference device gives transformers' logits, and its greedy ids are the CPU's", async () => {
    for (const { ids, positions, relativeError, greedy: continuation } of prompts) {
      const prompt = Int32Array.from(ids);
      const logits = await logitsOf(folder, prompt, { device: "reference" });
      const errors = positions.map((position) => relativeError(position, rowAt(logits, position, vocabSize)));
      expect(Math.max(...errors)).toBeLessThanOrEqual(LOGIT_TOLERANCE);
      const say = (options: RuntimeOptions) =>
        withRuntime(folder, options, (runtime) => greedy(runtime, prompt, continuation.ids.length));
      const said = await say({ device: "reference" });
      expect(firstWrongToken(continuation, said)).toBe(-1);
      expect(said).toEqual(await say({}));
    }
  });

  test.each<[KvCacheType, number]>([
    ["f32", AGREEMENT],
    // Where a rounding goes the other way, a key or value differs by a step: logits.test.ts has what 16 of them may cost.
    ["f16", 16 * 2 ** -11],
    ["int8", (16 * 0.5) / 127],
  ])("with a cache of %s the devices agree", async (kvCache, bound) => {
    const ids = someIds(130, vocabSize); // three pages
    const [reference, cpu] = [
      await logitsOf(folder, ids, { device: "reference", kvCache }),
      await logitsOf(folder, ids, { kvCache }),
    ];
    expect(difference(reference, cpu, vocabSize)).toBeLessThanOrEqual(bound);
  });
});

const temporary = temporaryFolder();

test("the storyteller tells the same on the reference device", async () => {
  const ids = Int32Array.of(2046, 500, 403, 257, 600);
  const tell = (options: RuntimeOptions) =>
    withRuntime("models/storyteller", options, (runtime) => greedy(runtime, ids, 24));
  expect(await tell({ device: "reference" })).toEqual(await tell({}));
});

describe.each<[string, RuntimeOptions]>([
  ["cpu", {}],
  ["reference", { device: "reference" }],
])("on the device %s", (name, device) => {
  const { folder, vocabSize } = loadTiny("gqa-f32");
  const poisoned = vocabSize - 1; // an id whose embedding is no number

  test("a row whose logits are no numbers fails alone, and decodes no further", async () => {
    const dir = join(temporary, `poisoned-${name}`);
    copyAltered(folder, dir, "model.embed_tokens.weight", (elements) => {
      elements[poisoned * (elements.length / vocabSize)] = Number.NaN;
    });
    await withRuntime(dir, { ...device, slots: 3 }, async (runtime) => {
      const sequences = [someIds(20, poisoned), Int32Array.of(3, poisoned, 5), someIds(9, poisoned, 7)];
      const settings = { ...GREEDY, logitBias: new Map([[poisoned, Number.NEGATIVE_INFINITY]]) };
      const step = async (slots: readonly number[]): Promise<SampledRow[]> => {
        for (const slot of slots) await runtime.prepare(slot, settings, sequences[slot]!, []);
        const batch = slots.flatMap((slot) => rows(sequences[slot]!, slot));
        const last = slots.map((slot) => batch.findLastIndex((row) => row.slot === slot));
        return runtime.sample(batch, last, 2);
      };
      const [first, wrong, third] = await step([0, 1, 2]);
      expect(wrong).toMatchObject({
        code: "ERR_NOT_A_NUMBER",
        message: expect.stringMatching(/^a logit is not a number \(sample, row 1\)/),
      });
      expect(() => tokenOf(wrong!)).toThrow(expect.objectContaining({ code: "ERR_NOT_A_NUMBER" }));
      expect([first, third]).toEqual([...(await step([0])), ...(await step([2]))]);
      const decoder = runtime.decoder({ id: poisoned, slot: 1, position: 3 }, 1);
      await expect(decoder.next()).rejects.toMatchObject({ code: "ERR_NOT_A_NUMBER" });
      expect(await decoder.next()).toMatchObject({ id: -1 }); // the device has ended the row
      decoder.release();
    });
  });
});

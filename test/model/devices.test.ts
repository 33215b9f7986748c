// The same runtime on every device: whole models on the reference device (float64, native/reference) against the CPU and
// against transformers, and what a device keeps apart: rows that fail alone.
import { join } from "node:path";
import type { KvCacheType } from "#quipu/model/kv-cache.js";
import type { Row, Runtime, SampledRow } from "#quipu/model/runtime.js";
import { copyAltered } from "../altered-checkpoint.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { firstWrongToken, LOGIT_TOLERANCE, loadTiny, tinyNames } from "./reference.js";
import {
  begin,
  difference,
  logitsOf,
  type RuntimeOptions,
  rowAt,
  rows,
  someIds,
  tokenOf,
  withRuntime,
} from "./run-model.js";

/**
 * max |Δ| of the two devices' logits at a position, as a share of the greatest there (docs/numerics.md). Both round every activation
 * to f32 and differ in the roundings within sums: 1.2 to 2.7e-6 over these checkpoints.
 */
const AGREEMENT = 1e-5;

/** The same where the CPU has activations of 8 bits: 1 to 6 % over these checkpoints, whose weights are random. */
const CODED_ACTIVATIONS = 0.1;

const GREEDY = {
  ...{ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: 0 },
  logitBias: new Map<number, number>(),
};

async function greedy(runtime: Runtime, ids: Int32Array, count: number): Promise<number[]> {
  const prompt = rows(ids);
  await begin(runtime, 0, ids, GREEDY);
  const steps = [runtime.sample(prompt, [prompt.length - 1], [1])];
  while (steps.length < count) steps.push(runtime.sample([{ slot: 0 }], [0], [1]));
  return (await Promise.all(steps)).map(({ sampled: [row] }) => tokenOf(row).id);
}

describe.each(tinyNames())("tiny checkpoint %s", (name) => {
  const { folder, prompts, vocabSize } = loadTiny(name);

  test.each(["q8", "q4"] as const)(
    "weights of %s are the same on the reference device, which has activations of f64",
    async (quantize) => {
      const ids = Int32Array.from(prompts[0]!.ids);
      const options = { quantize } as const;
      const [cpu, other, exact] = [
        await logitsOf(folder, ids, options),
        await logitsOf(folder, ids, { ...options, device: "reference" }),
        await logitsOf(folder, ids, {}),
      ];
      expect(difference(cpu, other, vocabSize)).toBeLessThanOrEqual(CODED_ACTIVATIONS);
      expect(difference(other, exact, vocabSize)).toBeGreaterThan(AGREEMENT); // it is quantized, too
    },
  );

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
      const step = async (slots: readonly number[]): Promise<readonly SampledRow[]> => {
        for (const slot of slots) await begin(runtime, slot, sequences[slot]!, settings);
        const batch = slots.flatMap((slot) => rows(sequences[slot]!, slot));
        const last = slots.map((slot) => batch.findLastIndex((row) => row.slot === slot));
        return (
          await runtime.sample(
            batch,
            last,
            last.map(() => 2),
          )
        ).sampled;
      };
      const [first, wrong, third] = await step([0, 1, 2]);
      expect(wrong).toMatchObject({
        code: "ERR_NOT_A_NUMBER",
        message: expect.stringMatching(/^a logit is not a number \((s|matmulS)ample, row 1\)/),
      });
      expect([first, third]).toEqual([...(await step([0])), ...(await step([2]))]);
      const next = async (row: Row) => (await runtime.sample([row], [0], [1])).sampled[0];
      expect(await next({ id: poisoned, slot: 1, position: 3 })).toMatchObject({ code: "ERR_NOT_A_NUMBER" });
      expect(await next({ slot: 1 })).toBe("ended");
    });
  });
});

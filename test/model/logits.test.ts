// Logits against transformers' float32 ones (test/reference), at every position that the goldens keep.
import type { KvCacheType } from "#quipu/model/kv-cache.js";
import { testWhere } from "../where.js";
import { LOGIT_TOLERANCE, loadSmollm2, loadTiny, type ReferencePrompt, smollm2Folder, tinyNames } from "./reference.js";
import { rowAt, withModel } from "./run-model.js";

/**
 * What a rounded cache may cost. A key that is off by `unit` of its greatest element moves a score by about `unit` times the score's
 * terms, which moves the attention weights by as much again; the checkpoints here have scores of up to some 8 and two or three
 * layers, so 16 units hold at every position. Rounding errors do not add up, so on average they stay within 4. Beside an int8 cache the
 * query is rounded like the keys: its unit counts twice.
 */
const WORST_UNITS = 16;
const MEAN_UNITS = 4;
const ROUNDED: readonly (readonly [KvCacheType, number])[] = [
  ["f16", 2 ** -11], // half a step of an f16 significand
  ["int8", 2 * (0.5 / 127)], // half a step, of the greatest element of the key and of the query
];

async function relativeErrors(dir: string, kvCache: KvCacheType, prompts: readonly ReferencePrompt[]) {
  return withModel(dir, { kvCache }, async (model) => {
    const errors: { prompt: string; position: number; error: number }[] = [];
    for (const prompt of prompts) {
      const logits = await model.logits(Int32Array.from(prompt.ids));
      for (const position of prompt.positions) {
        const error = prompt.relativeError(position, rowAt(logits, position, model.config.vocabSize));
        errors.push({ prompt: prompt.name, position, error });
      }
    }
    return errors;
  });
}

describe.each(tinyNames())("tiny checkpoint %s", (name) => {
  const { folder, prompts } = loadTiny(name);

  test("an f32 cache gives the reference's logits at every position", async () => {
    const errors = await relativeErrors(folder, "f32", prompts);
    expect(errors.length).toBeGreaterThan(8);
    expect(errors.filter(({ error }) => !(error <= LOGIT_TOLERANCE))).toEqual([]);
  });

  test.each(ROUNDED)("a cache of %s stays within its rounding", async (kvCache, unit) => {
    const errors = await relativeErrors(folder, kvCache, prompts);
    expect(errors.filter(({ error }) => !(error <= WORST_UNITS * unit))).toEqual([]);
    const mean = errors.reduce((sum, { error }) => sum + error, 0) / errors.length;
    expect(mean).toBeLessThan(MEAN_UNITS * unit);
    expect(mean).toBeGreaterThan(unit / 8); // it is in use
  });
});

const smollm2 = smollm2Folder();
testWhere(smollm2 !== undefined, "SmolLM2 beside the reference")(
  "SmolLM2 gives the reference's logits at every position of eight prompts",
  async () => {
    const { prompts } = loadSmollm2();
    const errors = await relativeErrors(smollm2!, "f32", prompts);
    expect(errors.length).toBe(prompts.reduce((sum, { ids }) => sum + ids.length, 0));
    expect(errors.filter(({ error }) => !(error <= LOGIT_TOLERANCE))).toEqual([]);
  },
  180_000,
);

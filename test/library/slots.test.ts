// Several requests of one model at once: they share programs, sampling state and slots, and must not notice each other.
import { loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { loadTiny } from "../model/reference.js";
import { type Completion, complete, someIds } from "../model/run-model.js";

const { folder, vocabSize } = loadTiny("gqa-f32");
const load = (slots: number) => loadModel(folder, { tokenizer: false, slots, threads: 2, contextLength: 256 });
const said = (requests: readonly Completion[]) =>
  requests.map(({ tokens }) => tokens.map(({ id, logprob }) => [id, logprob]));
const request = (model: Model, seed: number, maxTokens = 24) =>
  complete(model, someIds(10 + seed, vocabSize, seed), { seed, temperature: 1, maxTokens, ignoreEos: true });

test.each([
  [1, 3],
  [3, 8],
  [30, 30], // more than there are programs kept
])("with %i slots, %i requests at once give what they give one by one", async (slots, count) => {
  const seeds = Array.from({ length: count }, (_, i) => i + 1);
  await using model = await load(slots);
  const oneByOne: Completion[] = [];
  for (const seed of seeds) oneByOne.push(await request(model, seed));
  const atOnce = await Promise.all(seeds.map((seed) => request(model, seed)));
  expect(said(atOnce)).toEqual(said(oneByOne));
});

describe("a generation is not disturbed by", () => {
  /** Generates on one slot while `other` does something else with the model. */
  async function undisturbed(other: (model: Model) => Promise<unknown>) {
    await using model = await load(2);
    const alone = await request(model, 5, 150);
    const [beside] = await Promise.all([request(model, 5, 150), other(model)]);
    expect(said([beside])).toEqual(said([alone]));
  }

  test("a request with a bias for every id", () =>
    undisturbed(async (model) => {
      const logitBias = new Map(Array.from({ length: vocabSize }, (_, id) => [id, id === 77 ? 50 : -50]));
      const { ids } = await complete(model, Int32Array.of(1, 2), { logitBias, maxTokens: 4, ignoreEos: true });
      expect(ids).toEqual([77, 77, 77, 77]);
    }));

  test("scoring texts of many lengths", () =>
    undisturbed(async (model) => {
      for (let length = 1; length <= 40; length++) await model.logits(someIds(length, vocabSize));
    }));

  test("requests with every number of alternatives", () =>
    undisturbed(async (model) => {
      for (let logprobs = 0; logprobs <= 20; logprobs++) {
        await complete(model, Int32Array.of(1, 2), { logprobs, maxTokens: 2, ignoreEos: true });
      }
      for (let top = 1; top <= 30; top++) expect(await model.next(Int32Array.of(1, 2), { top })).toHaveLength(top);
    }));
});

test("a request leaves nothing of its settings to the next on its slot", async () => {
  await using model = await load(1);
  const before = await request(model, 3);
  const everyId = new Map(Array.from({ length: vocabSize }, (_, id) => [id, (id % 5) - 2]));
  for (const options of [
    { logitBias: everyId },
    { repeatPenalty: 1.8, presencePenalty: 1, frequencyPenalty: 1 },
    { topK: 2, topP: 0.3, minP: 0.2, seed: 2 ** 40 + 1 },
  ]) {
    const other = await complete(model, someIds(40, vocabSize, 9), { ...options, maxTokens: 5, ignoreEos: true });
    expect(other.ids).toHaveLength(5);
    expect(said([await request(model, 3)])).toEqual(said([before]));
  }
});

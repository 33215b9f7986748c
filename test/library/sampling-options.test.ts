// What the sampling options do to the tokens: against a greedy choice worked out here from model.logits().
import type { GenerateOptions } from "#quipu/generate/events.js";
import type { Model } from "#quipu/generate/model.js";
import { loadTiny } from "../model/reference.js";
import { complete, rowAt, someIds, withModel } from "../model/run-model.js";

const { folder, vocabSize } = loadTiny("llama3-rope-parameters-f32");
const prompt = someIds(20, vocabSize, 3);
const TOKENS = 24;

/** The greedy continuation under penalties and biases, as docs/numerics.md has it, in f32. */
async function expectedIds(
  model: Model,
  { repeatPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias = new Map() }: GenerateOptions,
): Promise<number[]> {
  const f32 = Math.fround;
  const ids = [...prompt];
  while (ids.length < prompt.length + TOKENS) {
    const logits = rowAt(await model.logits(Int32Array.from(ids)), ids.length - 1, vocabSize).slice();
    for (const id of new Set(ids)) {
      const repeat = f32(repeatPenalty);
      logits[id] = logits[id]! > 0 ? f32(logits[id]! / repeat) : f32(logits[id]! * repeat);
      const count = ids.slice(prompt.length).filter((said) => said === id).length;
      if (count > 0) logits[id] = f32(f32(logits[id]! - f32(count * f32(frequencyPenalty))) - f32(presencePenalty));
    }
    for (const [id, bias] of logitBias) logits[id as number]! += f32(bias);
    ids.push(logits.reduce((best, value, id) => (value > logits[best]! ? id : best), 0));
  }
  return ids.slice(prompt.length);
}

test.each<[string, GenerateOptions]>([
  ["nothing", {}],
  ["repeatPenalty", { repeatPenalty: 1.5 }],
  ["repeatPenalty below 1", { repeatPenalty: 0.8 }],
  ["presencePenalty", { presencePenalty: 3 }],
  ["frequencyPenalty", { frequencyPenalty: 2.5 }],
  ["all penalties", { repeatPenalty: 1.2, presencePenalty: 0.7, frequencyPenalty: 0.9 }],
  ["logitBias", { logitBias: new Map(Array.from({ length: 60 }, (_, id) => [id, (id % 7) - 3])) }],
  ["logitBias of −∞", { logitBias: new Map(Array.from({ length: 150 }, (_, id) => [id, Number.NEGATIVE_INFINITY])) }],
])("%s", async (_, options) => {
  await withModel(folder, { kvCache: "f32" }, async (model) => {
    const { ids } = await complete(model, prompt, { ...options, temperature: 0, ignoreEos: true, maxTokens: TOKENS });
    expect(ids).toEqual(await expectedIds(model, options));
  });
});

test("biases that forbid every id are an error by name, and the model goes on", async () => {
  await withModel(folder, {}, async (model) => {
    const all = new Map(Array.from({ length: vocabSize }, (_, id) => [id, Number.NEGATIVE_INFINITY]));
    const refused = { code: "ERR_ALL_FORBIDDEN", message: expect.stringMatching(/^the biases forbid every id/) };
    for (const temperature of [0, 1]) {
      await expect(complete(model, prompt, { temperature, logitBias: all })).rejects.toMatchObject(refused);
    }
    all.delete(7);
    const { ids } = await complete(model, prompt, { logitBias: all, ignoreEos: true, maxTokens: 3 });
    expect(ids).toEqual([7, 7, 7]);
  });
});

test("every option changes what is said", async () => {
  const options: GenerateOptions[] = [
    ...[{}, { repeatPenalty: 1.5 }, { presencePenalty: 3 }, { frequencyPenalty: 2.5 }],
    ...[{ logitBias: new Map([[7, 3]]) }, { temperature: 1.5 }, { topK: 3 }, { topP: 0.4 }, { minP: 0.3 }, { seed: 2 }],
  ];
  await withModel(folder, {}, async (model) => {
    const said = new Set<string>();
    for (const option of options) {
      const { ids } = await complete(model, prompt, {
        temperature: 1,
        seed: 1,
        ignoreEos: true,
        maxTokens: TOKENS,
        ...option,
      });
      said.add(ids.join());
    }
    expect(said.size).toBe(options.length);
  });
});

test("presence and frequency are those of the completion: the prompt's last id does not count", async () => {
  const id = prompt.at(-1)!;
  await withModel(folder, {}, async (model) => {
    for (const penalty of [{ presencePenalty: 100 }, { frequencyPenalty: 100 }]) {
      const options = { ...penalty, logitBias: new Map([[id, 50]]), temperature: 0, ignoreEos: true, maxTokens: 2 };
      const { ids } = await complete(model, prompt, options);
      expect(ids.map((said) => said === id)).toEqual([true, false]);
    }
  });
});

test("a text can be biased where it is one token", async () => {
  await withModel("models/storyteller", { tokenizer: true }, async (model) => {
    const { text } = await complete(model, "The", {
      logitBias: new Map([[" dog", 100]]),
      maxTokens: 3,
      ignoreEos: true,
    });
    expect(text).toBe(" dog dog dog");
    await expect(complete(model, "The", { logitBias: new Map([[" dog dog", 1]]) })).rejects.toMatchObject({
      code: "ERR_USAGE",
      message: expect.stringContaining("2 tokens"),
    });
  });
});

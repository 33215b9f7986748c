// Weights that are no numbers give errors that say so, never a text; and what one request has met does not reach the next.
import { join } from "node:path";
import type { KvCacheType } from "#quipu/model/kv-cache.js";
import { copyAltered } from "../altered-checkpoint.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { loadTiny } from "../model/reference.js";
import { complete, someIds, withModel } from "../model/run-model.js";

const { folder, vocabSize } = loadTiny("gqa-f32");
const prompt = someIds(70, vocabSize - 1); // never the last id
const altered = temporaryFolder();
const refused = {
  code: "ERR_NOT_A_NUMBER",
  message: expect.stringMatching(/^a logit is not a number \(.+\): the checkpoint holds NaN or infinite weights/),
};

/** A copy with one element of a tensor replaced. */
function checkpoint(tensor: string, index: number, value: number): string {
  const dir = join(altered, `${tensor}-${index}-${value}`);
  copyAltered(folder, dir, tensor, (elements) => {
    elements[index] = value;
  });
  return dir;
}

test.each([
  ["model.layers.0.input_layernorm.weight", Number.NaN],
  ["model.layers.0.self_attn.k_proj.weight", Number.NaN],
  ["model.layers.1.self_attn.v_proj.weight", Number.POSITIVE_INFINITY],
  ["model.layers.1.mlp.down_proj.weight", Number.NEGATIVE_INFINITY],
  ["model.norm.weight", Number.NaN],
  ["lm_head.weight", Number.NaN],
])("%s with a %p", async (tensor, value) => {
  for (const kvCache of ["f32", "f16", "int8"] as const) {
    await withModel(checkpoint(tensor, 3, value), { kvCache }, async (model) => {
      await expect(complete(model, prompt)).rejects.toMatchObject(refused);
      await expect(complete(model, prompt, { temperature: 0, repeatPenalty: 1.1 })).rejects.toMatchObject(refused);
      await expect(model.logits(prompt)).rejects.toMatchObject(refused);
      await expect(model.next(prompt)).rejects.toMatchObject(refused);
    });
  }
});

test.each<KvCacheType>(["f32", "f16", "int8"])(
  "what a NaN has left in a cache of %s is not read again",
  async (kvCache) => {
    const dir = checkpoint("model.embed_tokens.weight", (vocabSize - 1) * 48, Number.NaN);
    const poisoned = Int32Array.from(prompt).fill(vocabSize - 1);
    await withModel(dir, { kvCache }, async (model) => {
      const options = { temperature: 0, maxTokens: 4, logitBias: new Map([[vocabSize - 1, -1000]]) };
      const clean = await complete(model, prompt.subarray(0, 5), options);
      await expect(complete(model, poisoned)).rejects.toMatchObject(refused);
      expect((await complete(model, prompt.subarray(0, 5), options)).tokens).toEqual(clean.tokens);
    });
  },
);

test("a NaN in mid-generation keeps what was said before, and the model goes on", async () => {
  const dir = checkpoint("model.embed_tokens.weight", (vocabSize - 1) * 48, Number.NaN);
  await withModel(dir, {}, async (model) => {
    const said: number[] = [];
    const run = async () => {
      for await (const event of model.generate(prompt, {
        logitBias: new Map([[vocabSize - 1, 1000]]),
        ignoreEos: true,
      })) {
        if (event.type === "token") said.push(event.id);
      }
    };
    await expect(run()).rejects.toMatchObject(refused);
    expect(said).toEqual([vocabSize - 1]);
    expect((await complete(model, prompt, { maxTokens: 1 })).ids).toHaveLength(1);
  });
});

test("a logit of +∞ is refused, one of −∞ forbids an id", async () => {
  const id = 5;
  const outcomes: string[] = [];
  for (const weight of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    await withModel(checkpoint("lm_head.weight", id * 48 + 3, weight), {}, async (model) => {
      const said = await model.logits(prompt.subarray(0, 1)).then(
        (logits) => `${logits[id]}`,
        (error: { code: string }) => error.code,
      );
      outcomes.push(said);
    });
  }
  expect(outcomes.sort()).toEqual(["-Infinity", "ERR_NOT_A_NUMBER"]); // the activation is of one sign
});

test("logits() names the position of the first that is not a number", async () => {
  const dir = checkpoint("model.embed_tokens.weight", (vocabSize - 1) * 48, Number.NaN);
  await withModel(dir, {}, async (model) => {
    for (const position of [0, 1, 66]) {
      const ids = Int32Array.from(prompt, (id, i) => (i === position ? vocabSize - 1 : id));
      await expect(model.logits(ids)).rejects.toMatchObject({
        code: "ERR_NOT_A_NUMBER",
        message: expect.stringContaining(`(position ${position})`),
      });
    }
  });
});

test("a request that meets a NaN changes nothing for those in its steps", async () => {
  const dir = checkpoint("model.embed_tokens.weight", (vocabSize - 1) * 48, Number.NaN);
  await withModel(dir, {}, async (model) => {
    const options = { temperature: 1, maxTokens: 60, ignoreEos: true, logitBias: new Map([[vocabSize - 1, -1000]]) };
    const clean = (seed: number) => complete(model, prompt.subarray(0, 20 + seed), { ...options, seed });
    const alone = [await clean(1), await clean(2)];
    const poisoned = [
      complete(model, Int32Array.from(prompt).fill(vocabSize - 1)), // in its prompt
      complete(model, prompt, { ignoreEos: true, logitBias: new Map([[vocabSize - 1, 1000]]) }), // while it is decoded
      model.logits(Int32Array.of(1, vocabSize - 1)),
    ].map((request) => expect(request).rejects.toMatchObject(refused));
    const beside = await Promise.all([clean(1), clean(2)]);
    await Promise.all(poisoned);
    expect(beside.map(({ tokens }) => tokens)).toEqual(alone.map(({ tokens }) => tokens));
    expect(model.stats()).toMatchObject({ running: 0, waiting: 0 });
  });
});

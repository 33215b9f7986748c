// Prompts that begin as earlier ones did: what is not computed again, that it changes nothing, and what forgets it.
import { loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { loadTiny } from "../model/reference.js";
import { type Completion, complete, someIds, withModel } from "../model/run-model.js";

const { folder, vocabSize } = loadTiny("gqa-f32");
const options = { temperature: 1, seed: 5, maxTokens: 20, ignoreEos: true, logprobs: 3 } as const;
const prompt = someIds(200, vocabSize);
const said = ({ tokens }: Completion) => tokens;
const cached = ({ end }: Completion) => end.usage.cachedTokens;
const ask = (model: Model, ids: Int32Array, rest = {}) => complete(model, ids, { ...options, ...rest });

test.each(["f32", "f16", "int8"] as const)(
  "a warm prompt says what a cold one does, with a cache of %s",
  async (kvCache) => {
    await withModel(folder, { kvCache, batchSize: 48 }, async (model) => {
      const cold = await ask(model, prompt);
      const told: number[] = [];
      const warm = await ask(model, prompt, { onPromptProgress: (done: number) => told.push(done) });
      expect([cached(cold), cached(warm)]).toEqual([0, 192]);
      expect(warm.end.usage).toEqual({ promptTokens: 200, completionTokens: 20, cachedTokens: 192 });
      expect(told).toEqual([]); // one step
      expect(said(warm)).toEqual(said(cold));
      const other = Int32Array.of(...prompt.subarray(0, 150), ...someIds(20, vocabSize, 9));
      const half = await ask(model, other);
      expect(cached(half)).toBe(128);
      expect(said(half)).toEqual(said(await ask(model, other, { promptCache: false })));
      expect(await model.next(prompt)).toEqual(await model.next(prompt, { promptCache: false }));
    });
  },
);

test("what was generated is part of the next prompt, as in a conversation", async () => {
  await withModel(folder, {}, async (model) => {
    const first = await ask(model, prompt.subarray(0, 60), { maxTokens: 80 });
    const next = Int32Array.of(...prompt.subarray(0, 60), ...first.ids, 1, 2, 3);
    const second = await ask(model, next);
    expect(cached(second)).toBe(128);
    expect(said(second)).toEqual(said(await ask(model, next, { promptCache: false })));
  });
});

test("promptCache: false reads nothing, and leaves nothing", async () => {
  await withModel(folder, {}, async (model) => {
    const counts = async (rest: object) => [cached(await ask(model, prompt, rest)), model.stats().pages.cached];
    expect(await counts({ promptCache: false })).toEqual([0, 0]);
    expect(await counts({})).toEqual([0, 3]);
    expect(await counts({ promptCache: false })).toEqual([0, 3]);
    expect(await counts({})).toEqual([192, 3]);
  });
});

test("prompts that begin the same share pages while both are there", async () => {
  await withModel(folder, {}, async (model) => {
    const first = model.generate(prompt, { ...options, maxTokens: 100 });
    await first.next();
    await first.next();
    const second = model.generate(Int32Array.of(...prompt, 1), options);
    await second.next();
    await second.next();
    expect(model.stats()).toMatchObject({ running: 2, waiting: 0, pages: { used: 5 + 4 - 3, shared: 3, cached: 0 } });
    await Promise.all([first.return(), second.return()]);
  });
});

test("a prompt that was ended in the middle leaves what was computed whole, and nothing else", async () => {
  await withModel(folder, { batchSize: 50 }, async (model) => {
    const controller = new AbortController();
    const onPromptProgress = (done: number) => done >= 100 && controller.abort();
    const { end } = await ask(model, prompt, { signal: controller.signal, onPromptProgress });
    expect(end.reason).toBe("abort");
    const warm = await ask(model, prompt);
    expect([64, 128]).toContain(cached(warm)); // the step behind was in flight
    expect(said(warm)).toEqual(said(await ask(model, prompt, { promptCache: false })));
  });
});

test("a beginning goes when its pages are needed", async () => {
  await withModel(folder, { contextLength: 256, cacheTokens: 256 }, async (model) => {
    await ask(model, prompt);
    expect(cached(await ask(model, prompt))).toBe(192);
    await ask(model, someIds(200, vocabSize, 7));
    expect(cached(await ask(model, prompt))).toBe(0);
  });
});

describe("cacheTokens", () => {
  const sizes = (load: object) =>
    withModel(folder, load, async (model) => {
      const { contextLength, pages } = model.stats();
      return [contextLength, pages.free];
    });

  test("is the size of the cache, in whole pages; by default every slot has a context", async () => {
    expect(await sizes({})).toEqual([512, 64]);
    expect(await sizes({ slots: 2, contextLength: 100 })).toEqual([100, 4]);
    expect(await sizes({ cacheTokens: 1000 })).toEqual([512, 16]);
    expect(await sizes({ cacheTokens: 100 })).toEqual([100, 2]);
    expect(await sizes({ cacheTokens: 100, contextLength: 100, slots: 3 })).toEqual([100, 2]);
  });

  test("below the context is refused", async () => {
    await expect(loadModel(folder, { tokenizer: false, cacheTokens: 99, contextLength: 100 })).rejects.toMatchObject({
      ...{ code: "ERR_USAGE", option: "cacheTokens" },
    });
    await expect(loadModel(folder, { tokenizer: false, cacheTokens: 2 ** 50 })).rejects.toMatchObject({
      ...{ code: "ERR_USAGE", option: "cacheTokens" },
    });
    await expect(loadModel(folder, { tokenizer: false, cacheTokens: 2 ** 36 })).rejects.toMatchObject({
      ...{ code: "ERR_OUT_OF_MEMORY", option: "cacheTokens" },
    });
  });
});

// generate(): events, limits, stops, seeds and what sampling options do, on the embedded model.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { TINY_CONFIG, temporaryFolder, writeCheckpoint } from "../checkpoint-writer.js";
import { loadTiny } from "../model/reference.js";
import { complete, rowAt, someIds, withModel } from "../model/run-model.js";
import { writeSlowCheckpoint } from "../slow-checkpoint.js";

const PROMPT = "Once upon a time";
const greedy = { temperature: 0, ignoreEos: true } as const;
const padded = temporaryFolder();
let model: Model;
beforeAll(async () => {
  model = await loadModel(undefined, { threads: 2 });
});
afterAll(() => model.dispose());

describe("events", () => {
  test("start says what is in force, end what came of it", async () => {
    const { start, tokens, end } = await complete(model, PROMPT, { maxTokens: 5, seed: 9, topP: 0.5, ignoreEos: true });
    const promptTokens = model.encode(PROMPT).length;
    expect(start).toEqual({
      ...{ type: "start", promptTokens, droppedTokens: 0, droppedMessages: 0, seed: 9 },
      settings: {
        ...{ maxTokens: 5, temperature: 0.7, topK: 0, topP: 0.5, minP: 0, repeatPenalty: 1, presencePenalty: 0 },
        ...{ frequencyPenalty: 0, stop: [], stopIds: [], ignoreEos: true, seed: 9 },
      },
      warnings: [],
    });
    expect(tokens).toHaveLength(5);
    for (const token of tokens) {
      expect(token).toEqual({
        ...{ type: "token", id: expect.any(Number), text: expect.any(String), logprob: expect.any(Number) },
      });
      expect(token.logprob).toBeLessThanOrEqual(0);
    }
    expect(end).toMatchObject({ type: "end", reason: "length", seed: 9, usage: { promptTokens, completionTokens: 5 } });
    for (const time of Object.values(end.timings)) expect(time).toBeGreaterThan(0);
    expect(end.timings.firstTokenMs).toBeGreaterThanOrEqual(end.timings.promptMs);
  });

  test("texts of the events are the decoded ids, whole characters each", async () => {
    const tokenizer = model.tokenizer!;
    const parts = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter((id) => {
      const bytes = tokenizer.decodeSingleTokenBytes(id);
      return bytes.length === 1 && bytes[0]! >= 0x80;
    });
    const logitBias = new Map(parts.map((id) => [id, 1000]));
    const { text, ids, tokens } = await complete(model, PROMPT, { ...greedy, temperature: 10, seed: 4, logitBias });
    expect(text).toBe(tokenizer.decode(ids));
    expect(tokens.filter((token) => token.text === "").length).toBeGreaterThan(20); // held back until they are whole
    expect(text).toMatch(/[\u0080-\u07ff]/);
  });

  test("ids beyond the tokenizer's vocabulary have no text, control tokens the one they are known by", async () => {
    const config = { ...TINY_CONFIG, vocab_size: 2100 }; // padded, as published embeddings are
    writeCheckpoint(padded, { config });
    cpSync("models/storyteller/tokenizer.json", join(padded, "tokenizer.json"));
    await withModel(padded, { tokenizer: true }, async (wide) => {
      const logitBias = new Map([[2099, 1000]]);
      const { text, ids, tokens } = await complete(wide, PROMPT, { logitBias, maxTokens: 2, logprobs: 20 });
      expect({ text, ids }).toEqual({ text: "", ids: [2099, 2099] });
      expect(tokens[0]!.top).toHaveLength(20);
      const texts = new Map((await wide.next(PROMPT, { top: 2100 })).map(({ id, text }) => [id, text]));
      const [special, id] = [...wide.tokenizer!.specialTokens][0]!;
      expect([texts.get(2099), texts.get(id), texts.get(32)]).toEqual(["", special, wide.tokenizer!.decode([32])]);
    });
  });

  test("progress of the prompt is told after every step but the last", async () => {
    const told: [number, number][] = [];
    await withModel(loadTiny("gqa-f32").folder, { batchSize: 4 }, (tiny) =>
      complete(tiny, someIds(10, 256), { maxTokens: 1, onPromptProgress: (done, total) => told.push([done, total]) }),
    );
    expect(told).toEqual([
      [4, 10],
      [8, 10],
    ]);
  });
});

describe("limits", () => {
  test("no tokens at all", async () => {
    const { ids, text, end } = await complete(model, PROMPT, { maxTokens: 0 });
    expect({ ids, text, reason: end.reason }).toEqual({ ids: [], text: "", reason: "length" });
    expect(Object.values(end.timings)).toEqual([0, 0, 0, 0, 0]);
  });

  test.each([-1, 1000])("maxTokens %i goes on until the context is full", async (maxTokens) => {
    await withModel(loadTiny("mqa-tied-bf16").folder, { contextLength: 70 }, async (tiny) => {
      const { ids, end } = await complete(tiny, someIds(10, 320), { maxTokens, ignoreEos: true });
      expect({ tokens: ids.length, reason: end.reason }).toEqual({ tokens: 60, reason: "context" });
    });
  });

  test("every end-of-sequence id of the checkpoint ends it, and is no token of the completion", async () => {
    await withModel(loadTiny("mqa-tied-bf16").folder, {}, async (tiny) => {
      const ids = tiny.stopTokens.map(({ id }) => id);
      expect(ids).toEqual([2, 5, 9]);
      for (const id of ids) {
        const options = { logitBias: new Map([[id, 1000]]), maxTokens: 3 };
        expect(await complete(tiny, Int32Array.of(1), options)).toMatchObject({
          ids: [],
          end: { reason: "eos", stoppedBy: { id, text: "" }, usage: { completionTokens: 0 } },
        });
        expect(await complete(tiny, Int32Array.of(1), { ...options, ignoreEos: true })).toMatchObject({
          ids: [id, id, id],
          end: { reason: "length" },
        });
      }
    });
  });
});

describe("stop texts", () => {
  test("end the completion wherever tokens are cut, and are not part of it", async () => {
    const { text, tokens } = await complete(model, PROMPT, { ...greedy, maxTokens: 40 });
    const borders = tokens.map((_, i) => tokens.slice(0, i + 1).reduce((sum, token) => sum + token.text.length, 0));
    let across = 0;
    for (let at = 10; at < 60; at += 5) {
      const stop = text.slice(at, at + 7);
      const found = text.indexOf(stop);
      across += borders.some((border) => found < border && border < found + stop.length) ? 1 : 0;
      const stopped = await complete(model, PROMPT, { ...greedy, maxTokens: 40, stop: ["never said", stop] });
      expect({ text: stopped.text, reason: stopped.end.reason }).toEqual({
        text: text.slice(0, found),
        reason: "stop",
      });
    }
    expect(across).toBeGreaterThan(5);
  });

  test("a beginning of one that is never finished comes with the end event", async () => {
    const whole = await complete(model, PROMPT, { ...greedy, maxTokens: 12 });
    const stop = `${whole.text.slice(-4)}and never this`;
    const { text, end } = await complete(model, PROMPT, { ...greedy, maxTokens: 12, stop: [stop] });
    expect({ text, reason: end.reason, held: end.text }).toEqual({
      text: whole.text,
      reason: "length",
      held: whole.text.slice(-4),
    });
  });

  test("need a tokenizer", async () => {
    await withModel(loadTiny("gqa-f32").folder, {}, async (tiny) => {
      await expect(complete(tiny, Int32Array.of(1), { stop: ["x"] })).rejects.toMatchObject({ code: "ERR_USAGE" });
    });
  });
});

describe("seeds", () => {
  test("repeat a run and tell runs apart", async () => {
    const texts = await Promise.all(
      [1, 1, 2, 3, 2 ** 40, 2 ** 40 + 1].map(
        async (seed) => (await complete(model, PROMPT, { seed, maxTokens: 30 })).text,
      ),
    );
    expect(texts[1]).toBe(texts[0]);
    expect(new Set(texts).size).toBe(5);
  });

  test("one that was drawn is told, and repeats the run", async () => {
    const drawn = await complete(model, PROMPT, { maxTokens: 30 });
    expect(drawn.end.seed).toBe(drawn.start.seed);
    const again = await complete(model, PROMPT, { maxTokens: 30, seed: drawn.start.seed });
    expect(again.text).toBe(drawn.text);
  });
});

describe("logprobs", () => {
  test("are those of the model's own distribution, best first", async () => {
    const options = { maxTokens: 8, logprobs: 5, seed: 3, temperature: 1.5, repeatPenalty: 1.3, ignoreEos: true };
    const { tokens, ids } = await complete(model, PROMPT, options);
    const prompt = model.encode(PROMPT);
    const logits = await model.logits(Int32Array.of(...prompt, ...ids));
    for (const [i, { id, logprob, top }] of tokens.entries()) {
      const row = [...rowAt(logits, prompt.length - 1 + i, model.config.vocabSize)];
      const logSum = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
      const best = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b).slice(0, 5);
      expect(top!.map((entry) => entry.id)).toEqual(best);
      expect(top!.map(({ text }) => text)).toEqual(
        best.map((entry) => model.tokenizer!.decode([entry], { special: true })),
      );
      for (const entry of [...top!, { id, logprob }]) expect(entry.logprob).toBeCloseTo(row[entry.id]! - logSum, 4);
    }
  });

  test("next() gives the whole distribution", async () => {
    const { vocabSize } = model.config;
    const all = await model.next(PROMPT, { top: vocabSize });
    expect(new Set(all.map(({ id }) => id)).size).toBe(vocabSize);
    expect(all.reduce((sum, { logprob }) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 4);
    expect(all).toEqual(all.toSorted((a, b) => b.logprob - a.logprob || a.id - b.id));
    const { tokens } = await complete(model, PROMPT, { temperature: 0, maxTokens: 1, logprobs: 3 });
    expect(tokens[0]!.top).toEqual(all.slice(0, 3));
    expect(await model.next(PROMPT)).toEqual(all.slice(0, 10));
  });

  test.each([0, 1.5, 4000])("next() refuses top %p", async (top) => {
    await expect(model.next(PROMPT, { top })).rejects.toMatchObject({ code: "ERR_USAGE" });
  });
});

test("logits() of more ids than an array can hold the logits of is an error that says what it would take", async () => {
  const ids = 2 ** 17 + 1;
  const config = {
    ...{ ...TINY_CONFIG, vocab_size: 2 ** 18, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 },
    ...{ num_attention_heads: 1, num_key_value_heads: 1, max_position_embeddings: ids },
  };
  const dir = writeSlowCheckpoint(join(padded, "wide"), config);
  await withModel(dir, { contextLength: ids, slots: 1 }, async (wide) => {
    await expect(wide.logits(new Int32Array(ids))).rejects.toMatchObject({
      code: "ERR_OUT_OF_MEMORY",
      message: expect.stringMatching(
        /^the logits of 131073 ids need 131073 MiB in one array, \d+ MiB are free\. What fits: ids \d+\.$/,
      ),
      option: "ids",
    });
    expect(await wide.logits([1])).toHaveLength(2 ** 18);
  });
});

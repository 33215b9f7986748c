import { resolveBias, resolveSettings } from "#quipu/generate/sampling.js";
import { parseConfig } from "#quipu/model/config.js";
import { parseGenerationConfig } from "#quipu/model/generation-config.js";
import { TINY_CONFIG } from "../../checkpoint-writer.js";

const defaults = (json = {}) => parseGenerationConfig(json, parseConfig(TINY_CONFIG));

test("a caller's options come before the checkpoint's, those before ours", () => {
  const checkpoint = defaults({ temperature: 0.5, top_p: 0.9, max_new_tokens: 7, repetition_penalty: 1.1 });
  expect(resolveSettings({ temperature: 0, seed: 3 }, checkpoint)).toEqual({
    ...{ maxTokens: 7, temperature: 0, topK: 0, topP: 0.9, minP: 0, repeatPenalty: 1.1, presencePenalty: 0 },
    ...{ frequencyPenalty: 0, stop: [], ignoreEos: false, seed: 3 },
  });
  expect(resolveSettings({}, defaults())).toMatchObject({ maxTokens: 256, temperature: 0.8, topP: 1 });
});

test.each([
  ["maxTokens", "max_new_tokens", 5, 6],
  ["temperature", "temperature", 0.25, 0.5],
  ["topK", "top_k", 3, 4],
  ["topP", "top_p", 0.25, 0.5],
  ["minP", "min_p", 0.25, 0.5],
  ["repeatPenalty", "repetition_penalty", 1.25, 1.5],
] as const)("%s: the caller's, else the checkpoint's", (option, field, own, theirs) => {
  const checkpoint = defaults({ [field]: theirs });
  expect(resolveSettings({ [option]: own }, checkpoint)[option]).toBe(own);
  expect(resolveSettings({}, checkpoint)[option]).toBe(theirs);
  expect(resolveSettings({ [option]: own }, defaults())[option]).toBe(own);
});

test("seeds are drawn anew", () => {
  const seeds = Array.from({ length: 20 }, () => resolveSettings({}, defaults()).seed);
  expect(new Set(seeds).size).toBeGreaterThan(15);
});

test.each([
  [new Map([[32, 1]])],
  [new Map([[-1, 1]])],
  [new Map([[0.5, 1]])],
  [new Map([[1, Number.NaN]])],
  [new Map([[1, "2"]])],
  [new Map([["text", 1]])], // without a tokenizer
])("logitBias %p is refused", (bias) => {
  expect(() => resolveBias(bias as never, undefined, 32)).toThrow(
    expect.objectContaining({ code: "ERR_USAGE", message: expect.stringContaining("logitBias") }),
  );
});

import type { EffectiveSettings, GenerateOptions, Prompt } from "#quipu/generate/events.js";
import { encodePrompt, fitPrompt, toMessages } from "#quipu/generate/prompt.js";

const bare = { tokenizer: undefined, chatTemplate: undefined, vocabSize: 10 };
const usage = (message: string) =>
  expect.objectContaining({ code: "ERR_USAGE", message: expect.stringContaining(message) });

test.each([[Int32Array.of(0, 9, 3)], [[0, 9, 3]], [Uint16Array.of(0, 9, 3)]])(
  "ids %p are taken, from a copy",
  (given) => {
    const ids = given as Int32Array;
    const encoded = encodePrompt(ids, {}, bare);
    ids[0] = 5;
    expect([...encoded]).toEqual([0, 9, 3]);
  },
);

test.each<[unknown, string]>([
  [Int32Array.of(), "empty"],
  [Int32Array.of(1, 10), "prompt: expected ids from 0 to 9, got 10 at index 1"],
  [Int32Array.of(-1), "got -1 at index 0"],
  [Float32Array.of(1.5), "got 1.5 at index 0"],
  [new DataView(new ArrayBuffer(8)), "prompt: expected"],
  [[1, 10], "got 10 at index 1"],
  [[], "empty"],
  [undefined, "prompt: expected"],
  [42, "prompt: expected"],
  ["text", "without a tokenizer"],
  [[{ role: "user", content: "Hi" }], "without a tokenizer"],
])("prompt %p is refused", (prompt, message) => {
  expect(() => encodePrompt(prompt as Prompt, {}, bare)).toThrow(usage(message));
});

const system = { role: "system", content: "Be brief." };
const user = { role: "user", content: "Hi" };
test.each<[Prompt, GenerateOptions, unknown]>([
  ["Hi", {}, undefined],
  ["Hi", { raw: true }, undefined],
  ["Hi", { raw: false }, [user]],
  ["Hi", { raw: false, system: "Be brief." }, [system, user]],
  [[user], {}, [user]],
  [[user], { raw: true, system: "Be brief." }, [system, user]],
])("prompt %j with %j stands for messages %j", (prompt, options, messages) => {
  expect(toMessages(prompt, options)).toEqual(messages);
});

test("a system message has no place in a raw prompt", () => {
  expect(() => toMessages("Hi", { system: "Be brief." })).toThrow(usage("system"));
});

const ids = Int32Array.from({ length: 20 }, (_, i) => i);
const fitted = (
  context: number,
  maxTokens: number,
  onOverflow: Exclude<GenerateOptions["onOverflow"], "slide">,
  bosId?: number,
) => [...fitPrompt(ids, room(context), { maxTokens } as EffectiveSettings, onOverflow, bosId)];
const room = (contextLength: number, needed = 1) => ({ contextLength, supported: 64, needed });

test("a prompt that leaves room for one token is left alone", () => {
  expect(fitted(21, 100, "truncate-head")).toEqual([...ids]);
});

test("a prompt that needs no room behind it may fill the context", () => {
  expect(fitPrompt(ids, room(20, 0), {} as EffectiveSettings)).toBe(ids);
  expect(() => fitPrompt(ids, room(19, 0), {} as EffectiveSettings)).toThrow("20 tokens");
});

test.each([
  [20, 4, "truncate-head", undefined, [4, 20]],
  [20, 100, "truncate-head", undefined, [10, 20]], // at most half of the context is kept free
  [16, -1, "truncate-head", undefined, [12, 20]],
] as const)("context %i, %i tokens, %s: ids %p go", (context, maxTokens, how, bosId, [from, to]) => {
  expect(fitted(context, maxTokens, how, bosId)).toEqual([...ids.subarray(from, to)]);
});

test("the begin-of-text id stays at the head", () => {
  expect(fitted(10, 4, "truncate-head", 0)).toEqual([0, 15, 16, 17, 18, 19]);
  expect(fitted(10, 4, "truncate-head", 7)).toEqual([14, 15, 16, 17, 18, 19]);
});

test("truncate-middle keeps both ends", () => {
  expect(fitted(10, 4, "truncate-middle")).toEqual([0, 1, 2, 17, 18, 19]);
});

test("the error says how many tokens there are and what can be done", () => {
  expect(() => fitted(20, 4, "error")).toThrow(
    expect.objectContaining({
      ...{ code: "ERR_CONTEXT_OVERFLOW", option: "onOverflow" },
      message: expect.stringMatching(/20 tokens.*holds 20.*longer context \(the model supports 64\).*left out/s),
    }),
  );
});

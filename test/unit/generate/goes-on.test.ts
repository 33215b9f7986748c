// Whether an answer goes on with the text of its prompt, where some tokenizers would leave out its first space, or is a text of its own.

import type { Prompt } from "#quipu/generate/events.js";
import { goesOnWithText } from "#quipu/generate/prompt.js";
import type { Tokenizer } from "#quipu/tokenizer/tokenizer.js";

const tokenizer = { specialTokens: new Map([["<s>", 1]]) } as unknown as Tokenizer;
const text = Int32Array.of(1, 5, 6);
const message = [{ role: "user", content: "x" }] as const;

test.each([
  ["a raw text", "x", {}, text, true],
  ["ids", [1, 5, 6], {}, text, true],
  ["control tokens alone", "", {}, Int32Array.of(1), false],
  ["messages", message, {}, text, false],
  ["a text that is a message", "x", { raw: false }, text, false],
  ["a message that is to be continued", message, { continueFinalMessage: true }, text, true],
  ["a field of it", message, { continueFinalMessage: "content" }, text, true],
  ["an empty one", [{ role: "assistant", content: "" }], { continueFinalMessage: true }, text, false],
  ["an empty field of it", [{ role: "assistant", content: "x", a: "" }], { continueFinalMessage: "a" }, text, false],
  ["another field of it", [{ role: "assistant", content: "", a: "x" }], { continueFinalMessage: "a" }, text, true],
  ["messages, said otherwise", message, { continueFinalMessage: false }, text, false],
])("%s", (_, prompt, options, ids, expected) => {
  expect(goesOnWithText(prompt as Prompt, options, ids, tokenizer)).toBe(expected);
});

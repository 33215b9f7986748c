import { createHash } from "node:crypto";
import { TEXT } from "#quipu/benchmark/text.js";

test("the text that tokenizers are measured on stays as it is", () => {
  expect(createHash("sha256").update(TEXT).digest("hex")).toBe(
    "eb70c8c670079c5a1bcc5f97e2ea00fc92f8a3a4311ef94623cac00dab5d8663",
  );
});

test("it has the scripts that tokenizers treat differently, and code", () => {
  const scripts = ["Latin", "Cyrillic", "Greek", "Hebrew", "Arabic", "Devanagari", "Thai", "Han", "Hiragana", "Hangul"];
  for (const script of scripts) {
    const letters = TEXT.match(new RegExp(`\\p{Script=${script}}`, "gu")) ?? [];
    expect([script, letters.length > 20]).toEqual([script, true]);
  }
  expect(TEXT.isWellFormed()).toBe(true);
});

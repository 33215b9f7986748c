// Patterns written for Oniguruma mean here what they mean to tokenizers, or are refused by what they ask for.
import { readFileSync } from "node:fs";
import { type SplitBehavior, splitInto } from "#quipu/tokenizer/split-behavior.js";
import { compileSplitPattern, type SplitPattern } from "#quipu/tokenizer/split-pattern.js";

type Case = [pattern: string, behavior: SplitBehavior, invert: boolean, texts: [string, string[]][] | null];
const golden: Case[] = JSON.parse(readFileSync("test/reference/split_patterns.golden.json", "utf8"));
/** Not refused by tokenizers: what is refused here all the same may not grow unseen. */
const MOST_REFUSED = 60;

test("the pieces of tokenizers, or a refusal that names what is not translated", () => {
  const refused: string[] = [];
  for (const [pattern, behavior, invert, texts] of golden) {
    let compiled: SplitPattern;
    try {
      compiled = compileSplitPattern(pattern, "tokenizer.json");
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_TOKENIZER_INVALID", message: expect.stringContaining(pattern) });
      if (texts !== null) refused.push(pattern);
      continue;
    }
    expect([pattern, texts]).not.toEqual([pattern, null]);
    for (const [text, pieces] of texts!) {
      const got = [...splitInto(behavior, compiled, text, invert)];
      expect({ pattern, behavior, invert, text, pieces: got }).toEqual({ pattern, behavior, invert, text, pieces });
    }
  }
  expect(refused.length).toBeLessThanOrEqual(MOST_REFUSED);
  expect(refused).toContain("\\G");
});

test("characters are those of Unicode 16.0 whatever Node has", () => {
  const letters = compileSplitPattern("\\p{L}", "test").expression.source;
  expect(letters).not.toContain("\\p");
  expect("\u{16121}").not.toMatch(new RegExp(`^${letters}$`, "u")); // Gurung Khema AA: a mark of 16.0, no letter
  expect("\u{16100}").toMatch(new RegExp(`^${letters}$`, "u")); // a letter of 16.0, which ICU 74 does not know
  expect("\u{10940}").not.toMatch(new RegExp(`^${letters}$`, "u")); // Sidetic, of 17.0
});

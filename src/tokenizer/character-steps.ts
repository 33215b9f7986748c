// Pre-tokenizers that cut by kinds of characters: Whitespace, WhitespaceSplit and Punctuation of tokenizer.json.

import type { JsonObject } from "../checkpoint/json.js";
import { once } from "../once.js";
import { CodePoints } from "./code-points.js";
import { PUNCTUATION } from "./punctuation-data.js";
import { isBehavior, splitInto } from "./split-behavior.js";
import type { SplitPattern } from "./split-pattern.js";
import { decoded, whiteSpace, wordCharactersInClass } from "./unicode-properties.js";

/** How a piece is cut, and whether parts of it are left out. */
export interface CharacterStep {
  readonly cut: (piece: string) => Iterable<string>;
  readonly removes: boolean;
}

/** Undefined where it is none of these, or asks for what they do not have. */
export function characterStep({ type, behavior = "Isolated" }: JsonObject): CharacterStep | undefined {
  switch (type) {
    case "Whitespace":
      return { cut: (piece) => splitInto("Removed", words(), piece, true), removes: true };
    case "WhitespaceSplit":
      return { cut: (piece) => splitInto("Removed", spaces(), piece, false), removes: true };
    case "Punctuation":
      if (!isBehavior(behavior)) return undefined;
      return { cut: (piece) => splitInto(behavior, punctuation(), piece, false), removes: behavior === "Removed" };
  }
  return undefined;
}

/** `\w+|[^\w\s]+` as Rust has it: the joiners U+200C and U+200D are of words. */
const words = once(() => {
  const word = CodePoints.union([wordCharactersInClass(), CodePoints.range(0x200c, 0x200d)]);
  const other = CodePoints.union([word, whiteSpace()]).complement();
  return linear(`${word.toPattern()}+|${other.toPattern()}+`);
});

const spaces = once(() => linear(whiteSpace().toPattern()));

const punctuation = once(() => linear(decoded(PUNCTUATION).toPattern()));

/** A pattern that never goes back. */
function linear(source: string): SplitPattern {
  return { expression: new RegExp(source, "gu"), mostSteps: (length) => 2 * length };
}

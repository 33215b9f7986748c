// The regular expressions by which tokenizers cut text into pieces, or replace parts of it. They are written for Oniguruma (tokenizer.json) or Rust (tiktoken);
// those that the engine has no machine for (published-patterns.ts) are translated into JavaScript's (oniguruma.ts).
import { QuipuError } from "../errors.js";
import { translateOniguruma, UnsupportedPattern } from "./oniguruma.js";
import { stepsOfSearch } from "./pattern-steps.js";

/** Published patterns have some hundreds of characters. */
const MAX_PATTERN = 8192;

export interface SplitPattern {
  /** Global: it finds the pieces one after another. */
  readonly expression: RegExp;
  /** How many steps it takes at most to find those of a text of `length`; see pattern-steps.ts. */
  mostSteps(length: number): number;
}

/** One that was translated. */
export interface TranslatedPattern extends SplitPattern {
  /** It may match no text. */
  readonly nullable: boolean;
}

/**
 * Translates a pattern.
 *
 * @param what names the pattern in errors.
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a construct that is not known to mean the same, or no valid pattern.
 */
export function compileSplitPattern(pattern: string, what: string): TranslatedPattern {
  const refuse = (problem: string, cause?: unknown) =>
    new QuipuError("ERR_TOKENIZER_INVALID", `${what}: the pattern ${problem}: ${pattern.slice(0, 1024)}`, { cause });
  if (pattern.length > MAX_PATTERN) throw refuse(`has ${pattern.length} characters: expected at most ${MAX_PATTERN}`);
  try {
    const { source, effort, nullable } = translateOniguruma(pattern);
    return { expression: new RegExp(source, "gu"), mostSteps: (length) => stepsOfSearch(effort, length), nullable };
  } catch (cause) {
    const uses = cause instanceof UnsupportedPattern ? `uses ${cause.message}, which` : "is one that";
    throw refuse(`${uses} this version does not translate`, cause);
  }
}

// What becomes of the matches of a Split, and of the text between them (tokenizers, SplitDelimiterBehavior).
import { QuipuError } from "../errors.js";

const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;

export type SplitBehavior = (typeof BEHAVIORS)[number];

export function isBehavior(value: unknown): value is SplitBehavior {
  return BEHAVIORS.some((behavior) => behavior === value);
}

interface Part {
  readonly text: string;
  readonly isMatch: boolean;
}

/** The pieces of `text`, none of them empty. `invert` takes what is between matches for the matches. */
export function* splitInto(behavior: SplitBehavior, pattern: RegExp, text: string, invert: boolean): Iterable<string> {
  const parts = partsOf(pattern, text, invert);
  switch (behavior) {
    case "Removed":
      for (const { text, isMatch } of parts) if (!isMatch && text !== "") yield text;
      return;
    case "Isolated":
      for (const { text } of parts) if (text !== "") yield text;
      return;
    case "Contiguous":
      return yield* joined(parts, (part, before) => part.isMatch === before.isMatch);
    case "MergedWithPrevious":
      return yield* joined(parts, (part, before) => part.isMatch && !before.isMatch);
    case "MergedWithNext":
      return yield* joined(parts, (part, before) => !part.isMatch && before.isMatch);
  }
}

/** Matches and what lies between them, one after another. */
function* partsOf(pattern: RegExp, text: string, invert: boolean): Iterable<Part> {
  let end = 0;
  let isFirst = true;
  try {
    for (const { index, 0: match } of text.matchAll(pattern)) {
      // No match is empty where another has ended; and V8 finds empty ones between the halves of a surrogate pair, too.
      if (match === "" && ((index === end && !isFirst) || isInsidePair(text, index))) continue;
      if (index > end) yield { text: text.slice(end, index), isMatch: invert };
      yield { text: match, isMatch: !invert };
      end = index + match.length;
      isFirst = false;
    }
  } catch (cause) {
    // Only now V8 says that a pattern is too large, or that a match needs more stack than it has.
    const why = (cause as Error).message.slice(-120);
    throw new QuipuError("ERR_TOKENIZER_INVALID", `the tokenizer's pattern cannot cut this text: ${why}`, { cause });
  }
  if (end < text.length) yield { text: text.slice(end), isMatch: invert };
}

function isInsidePair(text: string, index: number): boolean {
  return index > 0 && /^[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(index - 1, index + 1));
}

function* joined(parts: Iterable<Part>, joins: (part: Part, before: Part) => boolean): Iterable<string> {
  let piece = "";
  let before: Part | undefined;
  for (const part of parts) {
    if (before !== undefined && !joins(part, before)) {
      if (piece !== "") yield piece;
      piece = "";
    }
    piece += part.text;
    before = part;
  }
  if (piece !== "") yield piece;
}

// What becomes of the matches of a Split, and of the text between them (tokenizers, SplitDelimiterBehavior).
import { QuipuError } from "../errors.js";
import { runBounded } from "./bounded-run.js";
import type { SplitPattern } from "./split-pattern.js";

const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;

export type SplitBehavior = (typeof BEHAVIORS)[number];

export function isBehavior(value: unknown): value is SplitBehavior {
  return BEHAVIORS.some((behavior) => behavior === value);
}

/** Steps that may be taken while no signal is heard: half a second, where the pattern is as slow as it can be. */
const FEW_STEPS = 2 ** 30;

/** Of a text that is cut at a time, and matches: a watch takes some 0.1 ms, and matches that are held take memory. */
const CHARACTERS_TOGETHER = 2 ** 16;
const MATCHES_TOGETHER = 2 ** 14;

interface Part {
  readonly text: string;
  readonly isMatch: boolean;
}

/** The pieces of `text`, none of them empty. `invert` takes what is between matches for the matches. */
export function* splitInto(
  behavior: SplitBehavior,
  pattern: SplitPattern,
  text: string,
  invert: boolean,
): Iterable<string> {
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

/** `text` with `content` in the place of each match (tokenizers, NormalizedString::replace). */
export function replaceMatches(pattern: SplitPattern, content: string, text: string): string {
  let replaced = "";
  if (text === "") return replaced; // where nothing is sought
  for (const part of partsOf(pattern, text, false)) replaced += part.isMatch ? content : part.text;
  return replaced;
}

/** Matches and what lies between them, one after another. */
function* partsOf(pattern: SplitPattern, text: string, invert: boolean): Iterable<Part> {
  let end = 0;
  let isFirst = true;
  try {
    for (const matches of matchesOf(pattern, text)) {
      for (const { index, 0: match } of matches) {
        // No match is empty where another has ended; and V8 finds empty ones between the halves of a surrogate pair, too.
        if (match === "" && ((index === end && !isFirst) || isInsidePair(text, index))) continue;
        if (index > end) yield { text: text.slice(end, index), isMatch: invert };
        yield { text: match, isMatch: !invert };
        end = index + match.length;
        isFirst = false;
      }
    }
  } catch (cause) {
    if (cause instanceof QuipuError) throw cause;
    // Only now V8 says that a pattern is too large, or that a match needs more stack than it has.
    const why = (cause as Error).message.slice(-120);
    throw new QuipuError("ERR_TOKENIZER_INVALID", `the tokenizer's pattern cannot be sought in this text: ${why}`, {
      cause,
    });
  }
  if (end < text.length) yield { text: text.slice(end), isMatch: invert };
}

interface Match {
  readonly index: number;
  readonly 0: string;
}

/** All matches, some at a time: as matchAll finds them, but that a pattern which may try for ever is watched. */
function* matchesOf({ expression, mostSteps }: SplitPattern, text: string): Iterable<Match[]> {
  const watched = mostSteps(text.length) > FEW_STEPS;
  for (let start = 0; start <= text.length; ) {
    const find = () => matchesFrom(expression, text, start);
    const found = watched ? runBounded(find) : find();
    if (found === undefined) {
      const shown = JSON.stringify(text.slice(start, start + 40));
      const problem = "it tries too many ways (a repetition in a repetition, or several that take the same)";
      throw new QuipuError(
        "ERR_TOKENIZER_INVALID",
        `the tokenizer's pattern cannot be sought in this text behind ${start} characters, at ${shown}: ${problem}`,
      );
    }
    yield found.matches;
    start = found.next;
  }
}

/** Some matches from `start` on, and where those behind them may begin. */
function matchesFrom(expression: RegExp, text: string, start: number): { matches: Match[]; next: number } {
  const matches: Match[] = [];
  let next = start;
  while (next - start < CHARACTERS_TOGETHER && matches.length < MATCHES_TOGETHER) {
    expression.lastIndex = next;
    const match = expression.exec(text);
    if (match === null) return { matches, next: text.length + 1 };
    matches.push(match);
    next = match.index + match[0].length;
    if (match[0] === "") next += (text.codePointAt(next) ?? 0) > 0xffff ? 2 : 1;
  }
  return { matches, next };
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

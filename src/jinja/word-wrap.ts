// textwrap.wrap() with expand_tabs and replace_whitespace off, of one line.
import { once } from "../once.js";
import { spend, spendText } from "./budget.js";
import { valueError } from "./errors.js";
import { sliceText, textLength } from "./text.js";
import { wordsOf } from "./unicode.js";
import { trimEnd, trimStart } from "./whitespace.js";

/** textwrap's own idea of blanks: ASCII only. */
const BLANK = "\\t\\n\\v\\f\\r ";
const WORD_CHARACTER = "[\\p{L}\\p{N}_]";
const WORD = "[\\p{L}\\p{N}_!\"'&.,?]";
const LETTER = "[\\p{L}\\p{Nl}\\p{No}_]";
// TextWrapper.wordsep_re: blanks, dashes between words, and words, which may be cut after a hyphen between letters.
const chunksOf = once(
  () =>
    new RegExp(
      `([${BLANK}]+|(?<=${WORD})-{2,}(?=${WORD_CHARACTER})|[^${BLANK}]+?(?:-(?:(?<=${LETTER}{2}-)|(?<=${LETTER}-${LETTER}-))` +
        `(?=${LETTER}-?${LETTER})|(?=[${BLANK}]|$)|(?<=${WORD})(?=-{2,}${WORD_CHARACTER})))`,
      "u",
    ),
);
const SIMPLE_CHUNKS = new RegExp(`([${BLANK}]+)`);

function isBlank(text: string): boolean {
  return trimEnd(trimStart(text)) === "";
}

/** @throws {JinjaError} ValueError */
export function wordWrap(text: string, width: number, breakLongWords: boolean, breakOnHyphens: boolean): string[] {
  if (width <= 0) throw valueError(`invalid width ${width} (must be > 0)`);
  spendText(text.length * 16);
  let end = 0;
  const chunks = wordsOf(text)
    .split(breakOnHyphens ? chunksOf() : SIMPLE_CHUNKS)
    .filter((chunk) => chunk !== "")
    .map(({ length }) => {
      end += length;
      return text.slice(end - length, end);
    });
  chunks.reverse();
  const lines: string[] = [];
  while (chunks.length > 0) {
    spend(1);
    const line: string[] = [];
    let length = 0;
    if (lines.length > 0 && isBlank(chunks.at(-1)!)) chunks.pop();
    while (chunks.length > 0 && length + textLength(chunks.at(-1)!) <= width) {
      length += textLength(chunks.at(-1)!);
      line.push(chunks.pop()!);
    }
    if (chunks.length > 0 && textLength(chunks.at(-1)!) > width) {
      if (breakLongWords) line.push(cutLongWord(chunks, width - length, breakOnHyphens));
      else if (line.length === 0) line.push(chunks.pop()!);
    }
    if (line.length > 0 && isBlank(line.at(-1)!)) line.pop();
    if (line.length > 0) lines.push(line.join(""));
  }
  return lines;
}

/** The part of the next chunk that fits, after a hyphen where there is one. */
function cutLongWord(chunks: string[], room: number, breakOnHyphens: boolean): string {
  const chunk = chunks.pop()!;
  let part = sliceText(chunk, 0, room);
  const hyphen = breakOnHyphens ? part.lastIndexOf("-") : -1;
  if (hyphen > 0 && /[^-]/.test(part.slice(0, hyphen))) part = part.slice(0, hyphen + 1);
  chunks.push(chunk.slice(part.length));
  return part;
}

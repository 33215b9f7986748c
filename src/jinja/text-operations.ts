// Operations on strings that methods and filters share.
import { spend, spendCharacters, spendSearch, spendText } from "./budget.js";
import { typeError, valueError } from "./errors.js";
import { characters, isBmp, textLength } from "./text.js";
import { cut, plain } from "./twins.js";
import { textOf, typeName, type Value } from "./values.js";
import { isSpace, LINE_BREAKS, trimEnd, trimStart } from "./whitespace.js";

/** str.strip() of one or both ends: of whitespace, or of any of the characters of `chars`. */
export function strip(text: string, chars: Value | undefined, ends: "left" | "right" | "both"): string {
  spendText(text.length);
  if (chars === undefined || chars === null) {
    const left = ends === "right" ? text : trimStart(text);
    return ends === "left" ? left : trimEnd(left);
  }
  const set = textOf(chars);
  if (set === undefined) throw typeError("strip arg must be None or str");
  spendCharacters(set.length);
  if (!isBmp(text)) spendCharacters(text.length);
  const within = new Set(plain(set));
  const seen = isBmp(text) ? plain(text) : Array.from(plain(text));
  let start = 0;
  let end = seen.length;
  if (ends !== "right") while (start < end && within.has(seen[start]!)) start++;
  if (ends !== "left") while (end > start && within.has(seen[end - 1]!)) end--;
  spendCharacters(start + seen.length - end);
  return typeof seen === "string" ? text.slice(start, end) : Array.from(text).slice(start, end).join("");
}

export function separator(sep: Value): string {
  const text = textOf(sep);
  if (text === undefined) throw typeError(`must be str or None, not ${typeName(sep)}`);
  if (text === "") throw valueError("empty separator");
  return text;
}

export function split(text: string, sep: Value | undefined, max: number): string[] {
  spendText(text.length * 4);
  const limit = max < 0 ? Number.POSITIVE_INFINITY : max;
  if (sep !== undefined && sep !== null) {
    const by = separator(sep);
    const parts = cut(text, by, limit);
    spend(parts.length);
    return parts;
  }
  spendCharacters(text.length);
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text[at]!)) at++;
    if (at >= text.length) return parts;
    if (parts.length >= limit) return [...parts, text.slice(at)];
    const from = at;
    while (at < text.length && !isSpace(text[at]!)) at++;
    parts.push(text.slice(from, at));
  }
}

export function rsplit(text: string, sep: Value | undefined, max: number): string[] {
  if (max < 0) return split(text, sep, -1);
  spendText(text.length * 4);
  spendCharacters(text.length);
  const parts: string[] = [];
  let end = text.length;
  if (sep !== undefined && sep !== null) {
    const by = separator(sep);
    spendSearch(text.length, by.length, true);
    const [seen, sought] = [plain(text), plain(by)];
    while (parts.length < max && end >= by.length) {
      const at = seen.lastIndexOf(sought, end - by.length);
      if (at === -1) break;
      spend(1);
      parts.push(text.slice(at + by.length, end));
      end = at;
    }
    return [...parts, text.slice(0, end)].reverse();
  }
  for (;;) {
    while (end > 0 && isSpace(text[end - 1]!)) end--;
    if (end === 0) return parts.reverse();
    if (parts.length >= max) return [...parts, text.slice(0, end)].reverse();
    const last = end;
    while (end > 0 && !isSpace(text[end - 1]!)) end--;
    parts.push(text.slice(end, last));
  }
}

const LINE_END = new RegExp(`\r\n|[${LINE_BREAKS}]`, "g");

export function splitLines(text: string, keepEnds: boolean): string[] {
  spendText(text.length * 4);
  const lines: string[] = [];
  let from = 0;
  for (const end of text.matchAll(LINE_END)) {
    lines.push(text.slice(from, keepEnds ? end.index + end[0].length : end.index));
    from = end.index + end[0].length;
    spend(2);
  }
  return from < text.length ? [...lines, text.slice(from)] : lines;
}

/** What the empty text cuts: it is seen before every character, and at the end. */
function cutEverywhere(text: string, most: number): string[] {
  if (most === 0) return [text];
  const points = characters(text);
  return ["", ...points.slice(0, most - 1), points.slice(most - 1).join("")];
}

export function replace(text: string, old: string, by: string, count: number): string {
  spendText(text.length);
  const most = count < 0 ? Number.POSITIVE_INFINITY : count;
  const parts = old === "" ? cutEverywhere(text, most) : cut(text, old, most);
  spend(parts.length);
  spendText(text.length + (parts.length - 1) * by.length);
  return parts.join(by);
}

export function pad(text: string, char: string, left: number, right: number): string {
  spendText(text.length + char.length * (left + right));
  return char.repeat(left) + text + char.repeat(right);
}

export function center(text: string, width: number, char = " "): string {
  const margin = width - textLength(text);
  if (margin <= 0) return text;
  // As CPython rounds: an odd rest goes left where the width is odd.
  const left = Math.floor(margin / 2) + (margin & width & 1);
  return pad(text, char, left, margin - left);
}

// Strings by code points, as Python counts them. JavaScript counts UTF-16 units, which is the same but where a string holds surrogates.
import { spend, spendText } from "./budget.js";
import { JinjaError } from "./errors.js";
import { plain } from "./twins.js";

const SURROGATE = /[\ud800-\udfff]/;

export function isBmp(text: string): boolean {
  return !SURROGATE.test(text);
}

/** The code points, each as a string. */
export function characters(text: string): string[] {
  spendText(text.length * 8);
  return isBmp(text) ? text.split("") : Array.from(text);
}

export function textLength(text: string): number {
  spendText(text.length);
  if (isBmp(text)) return text.length;
  spendText(text.length * 4);
  let length = 0;
  for (const _ of text) length++;
  return length;
}

/** The code point at `index`, which may count from the end; undefined outside. */
export function characterAt(text: string, index: number): string | undefined {
  spendText(text.length);
  if (isBmp(text)) return text.at(index);
  return characters(text).at(index);
}

/** A slice's first index, step and number of items, by PySlice_AdjustIndices. */
interface Span {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** @throws {JinjaError} ValueError */
export function span(length: number, start: number | undefined, stop: number | undefined, step = 1): Span {
  if (step === 0) throw new JinjaError("ValueError", "slice step cannot be zero");
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const clamp = (index: number | undefined, missing: number) => {
    if (index === undefined) return missing;
    const from0 = index < 0 ? index + length : index;
    return Math.min(Math.max(from0, low), high);
  };
  const first = clamp(start, step > 0 ? low : high);
  const end = clamp(stop, step > 0 ? high : low);
  return { start: first, step, count: Math.max(0, Math.ceil((end - first) / step)) };
}

export function sliceArray<T>(items: readonly T[], { start, step, count }: Span): T[] {
  spend(1 + (step === 1 ? count >>> 2 : count));
  if (step === 1) return items.slice(start, start + count);
  return Array.from({ length: count }, (_, i) => items[start + i * step]!);
}

export function sliceText(text: string, start: number | undefined, stop: number | undefined, step?: number): string {
  spendText(text.length);
  if (isBmp(text)) {
    const range = span(text.length, start, stop, step);
    return range.step === 1
      ? text.slice(range.start, range.start + range.count)
      : sliceArray(text.split(""), range).join("");
  }
  const points = characters(text);
  return sliceArray(points, span(points.length, start, stop, step)).join("");
}

/** A code point as Python's escape of it, with x, u or U. */
export function escapeOf(code: number): string {
  const hex = code.toString(16);
  return code <= 0xff
    ? `\\x${hex.padStart(2, "0")}`
    : code <= 0xffff
      ? `\\u${hex.padStart(4, "0")}`
      : `\\U${hex.padStart(8, "0")}`;
}

/** Order by code points: UTF-16 units would put U+E000 to U+FFFF after what is beyond them. */
export function compareText(a: string, b: string): number {
  spendText(Math.min(a.length, b.length));
  const [left, right] = [plain(a), plain(b)];
  if (left === right) return 0;
  if (isBmp(left) && isBmp(right)) return left < right ? -1 : 1;
  const [x, y] = [characters(left), characters(right)];
  for (let i = 0; i < x.length && i < y.length; i++) {
    const difference = x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}

// Sets of code points, as sorted ranges.

const MAX = 0x10ffff;

/** First and last code point of each range; ascending, with gaps between them. */
type Ranges = readonly (readonly [first: number, last: number])[];

export class CodePoints {
  static readonly none = new CodePoints([]);
  static readonly all = new CodePoints([[0, MAX]]);

  readonly ranges: Ranges;

  private constructor(ranges: Ranges) {
    this.ranges = ranges;
  }

  static range(first: number, last: number): CodePoints {
    return new CodePoints([[first, last]]);
  }

  static of(characters: string): CodePoints {
    return CodePoints.union(Array.from(characters, (c) => CodePoints.range(c.codePointAt(0)!, c.codePointAt(0)!)));
  }

  static union(sets: readonly CodePoints[]): CodePoints {
    const merged: [number, number][] = [];
    for (const [first, last] of sets.flatMap(({ ranges }) => ranges).sort(([a], [b]) => a - b)) {
      const end = merged.at(-1);
      if (end !== undefined && first <= end[1] + 1) end[1] = Math.max(end[1], last);
      else merged.push([first, last]);
    }
    return new CodePoints(merged);
  }

  complement(): CodePoints {
    const gaps: [number, number][] = [];
    let next = 0;
    for (const [first, last] of this.ranges) {
      if (first > next) gaps.push([next, first - 1]);
      next = last + 1;
    }
    if (next <= MAX) gaps.push([next, MAX]);
    return new CodePoints(gaps);
  }

  intersection(other: CodePoints): CodePoints {
    return CodePoints.union([this.complement(), other.complement()]).complement();
  }

  has(code: number): boolean {
    return this.ranges.some(([first, last]) => first <= code && code <= last);
  }

  get size(): number {
    return this.ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  /** A class of JavaScript's regular expressions with the flag u. */
  toPattern(): string {
    if (this.ranges.length === 0) return "[]";
    const gaps = this.complement();
    const [negated, ranges] =
      gaps.ranges.length < this.ranges.length ? (["^", gaps.ranges] as const) : (["", this.ranges] as const);
    const parts = ranges.map(([first, last]) => escaped(first) + (last === first ? "" : `-${escaped(last)}`));
    return `[${negated}${parts.join("")}]`;
  }
}

/** A regular expression with the flag u, or a part of one, that matches `text` and nothing else. */
export function literalPattern(text: string): string {
  return Array.from(text, (character) => escaped(character.codePointAt(0)!)).join("");
}

/** A character as it can stand in a class or outside. */
export function escaped(code: number): string {
  const isPlain = (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return isPlain ? String.fromCharCode(code) : `\\u{${code.toString(16)}}`;
}

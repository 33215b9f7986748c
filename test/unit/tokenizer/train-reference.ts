// The training in its plainest form: all pairs are counted anew for every merge. The tests hold the trainer to it.

import { GPT2_PATTERN, LLAMA3_PATTERN, O200K_PATTERN } from "#quipu/tokenizer/published-patterns.js";
import { splitInto } from "#quipu/tokenizer/split-behavior.js";
import { compileSplitPattern } from "#quipu/tokenizer/split-pattern.js";

const COMPILED = {
  llama3: compileSplitPattern(LLAMA3_PATTERN, "llama3"),
  gpt2: compileSplitPattern(GPT2_PATTERN, "gpt2"),
  o200k: compileSplitPattern(O200K_PATTERN, "o200k"),
};

export type Pair = [left: number, right: number];

export function piecesOf(text: string, pattern: keyof typeof COMPILED): string[] {
  return [...splitInto("Isolated", COMPILED[pattern], text, false)];
}

/** How often each piece occurs. */
export function countPieces(texts: readonly string[], pattern: keyof typeof COMPILED = "llama3"): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const piece of piecesOf(text, pattern)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
  }
  return counts;
}

/** The id of a byte: printable bytes first. */
export function byteId(byte: number): number {
  const printable = (b: number) => (b > 0x20 && b < 0x7f) || (b > 0xa0 && b !== 0xad);
  const before = (b: number) => (printable(byte) ? printable(b) && b < byte : printable(b) || b < byte);
  return Array.from({ length: 256 }, (_, b) => b).filter(before).length;
}
const BYTE_IDS = Array.from({ length: 256 }, (_, byte) => byteId(byte));

export function referenceMerges(
  pieces: ReadonlyMap<string, number>,
  merges: number,
  { minFrequency = 1, forbidden = [] as readonly string[] } = {},
): { pairs: Pair[]; counts: number[] } {
  const tokens = Array.from({ length: 256 }, (_, id) => String.fromCharCode(BYTE_IDS.indexOf(id)));
  const never = new Set(forbidden.map((text) => Buffer.from(text).toString("latin1")));
  const words = Array.from(pieces, ([piece, count]) => ({
    count,
    ids: Array.from(Buffer.from(piece), (b) => BYTE_IDS[b]!),
  }));
  const pairs: Pair[] = [];
  const counts: number[] = [];
  while (pairs.length < merges) {
    const found = new Map<string, number>();
    for (const { ids, count } of words) {
      for (let i = 0; i + 1 < ids.length; i++) {
        const key = `${ids[i]},${ids[i + 1]}`;
        found.set(key, (found.get(key) ?? 0) + count);
      }
    }
    const ranked = Array.from(found, ([key, count]) => ({ pair: key.split(",").map(Number) as Pair, count }))
      .filter(({ pair: [a, b], count }) => count >= minFrequency && !never.has(tokens[a]! + tokens[b]!))
      .sort((x, y) => y.count - x.count || x.pair[0] - y.pair[0] || x.pair[1] - y.pair[1]);
    const best = ranked[0];
    if (best === undefined) break;
    const [left, right] = best.pair;
    const merged = tokens.push(tokens[left]! + tokens[right]!) - 1;
    pairs.push(best.pair);
    counts.push(best.count);
    for (const word of words) {
      const ids: number[] = [];
      for (let i = 0; i < word.ids.length; i++) {
        if (word.ids[i] === left && word.ids[i + 1] === right) {
          ids.push(merged);
          i++;
        } else ids.push(word.ids[i]!);
      }
      word.ids = ids;
    }
  }
  return { pairs, counts };
}

// Byte-pair encoding of one piece: the pair of lowest rank merges first, of equal ranks the leftmost, until none merges.
import type { MergeTable } from "./merge-table.js";

// Below this the plain search wins; above it it would be quadratic, and a page of "aaaa…" would hang.
const SHORT = 64;

/** The tokens of a piece that begins as `ids`. */
export function mergePairs(ids: readonly number[], merges: MergeTable): readonly number[] {
  if (ids.length < 2) return ids;
  return ids.length <= SHORT ? mergeShort([...ids], merges) : mergeLong(ids, merges);
}

function mergeShort(ids: number[], merges: MergeTable): number[] {
  const pairs = ids.slice(1).map((right, i) => merges.find(ids[i]!, right));
  for (;;) {
    let best = -1;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i < pairs.length; i++) {
      if (pairs[i]! < 0) continue;
      const rank = merges.rank(pairs[i]!);
      if (rank < bestRank) {
        best = i;
        bestRank = rank;
      }
    }
    if (best < 0) return ids;
    ids.splice(best, 2, merges.merged(pairs[best]!));
    pairs.splice(best, 1);
    if (best > 0) pairs[best - 1] = merges.find(ids[best - 1]!, ids[best]!);
    if (best < pairs.length) pairs[best] = merges.find(ids[best]!, ids[best + 1]!);
  }
}

/** The same with a linked list of the symbols and a heap of the pairs that merge. */
function mergeLong(symbols: readonly number[], merges: MergeTable): number[] {
  const ids = Int32Array.from(symbols);
  const next = Int32Array.from(symbols, (_, i) => i + 1);
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const end = ids.length;
  const heap = new PairHeap();
  const offer = (at: number) => {
    const right = next[at]!;
    if (right >= end) return;
    const handle = merges.find(ids[at]!, ids[right]!);
    if (handle >= 0) heap.push(merges.rank(handle), at, handle);
  };
  for (let at = 0; at < end; at++) offer(at);
  for (;;) {
    const pair = heap.pop();
    if (pair === undefined) break;
    const { at, handle } = pair;
    const right = next[at]!;
    // Stale where either half has merged since; −1 marks a symbol that is part of its left neighbour.
    if (ids[at] === -1 || right >= end || merges.find(ids[at]!, ids[right]!) !== handle) continue;
    ids[at] = merges.merged(handle);
    ids[right] = -1;
    next[at] = next[right]!;
    if (next[at]! < end) previous[next[at]!] = at;
    if (previous[at]! >= 0) offer(previous[at]!);
    offer(at);
  }
  return [...ids.filter((id) => id !== -1)];
}

interface Pair {
  readonly rank: number;
  readonly at: number;
  readonly handle: number;
}

/** A binary heap by rank, then by place. */
class PairHeap {
  readonly #pairs: Pair[] = [];

  push(rank: number, at: number, handle: number): void {
    const pairs = this.#pairs;
    let hole = pairs.length;
    const pair = { rank, at, handle };
    pairs.push(pair);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!before(pair, pairs[parent]!)) break;
      pairs[hole] = pairs[parent]!;
      hole = parent;
    }
    pairs[hole] = pair;
  }

  pop(): Pair | undefined {
    const pairs = this.#pairs;
    const first = pairs[0];
    const last = pairs.pop();
    if (first === undefined || last === undefined || pairs.length === 0) return first;
    let hole = 0;
    for (let child = 1; child < pairs.length; child = 2 * hole + 1) {
      if (child + 1 < pairs.length && before(pairs[child + 1]!, pairs[child]!)) child++;
      if (!before(pairs[child]!, last)) break;
      pairs[hole] = pairs[child]!;
      hole = child;
    }
    pairs[hole] = last;
    return first;
  }
}

function before(a: Pair, b: Pair): boolean {
  return a.rank < b.rank || (a.rank === b.rank && a.at < b.at);
}

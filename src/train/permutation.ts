// Orders of a corpus without lists of it: a permutation of any size that gives its i-th number at once, so that where a shuffled pass
// stands is told by one number. A Feistel network over the next even power of two, walked until a number is in the range.
import { createHash } from "node:crypto";

/** Fewer show patterns in small ranges; more change nothing that was seen (test/unit/train/permutation). */
const ROUNDS = 6;
const MOST = 2 ** 52;

export class Permutation {
  readonly size: number;
  readonly #half: number;
  readonly #keys: readonly number[];

  /** A permutation of the numbers 0 … size − 1 that `seed` and `epoch` choose. */
  constructor(size: number, seed: number, epoch: number) {
    if (!Number.isSafeInteger(size) || size < 1 || size > MOST)
      throw new RangeError(`a permutation of ${size} numbers`);
    this.size = size;
    this.#half = Math.max(1, Math.ceil(Math.log2(size) / 2));
    const digest = createHash("sha256").update(`quipu order ${seed} ${epoch}`).digest();
    this.#keys = Array.from({ length: ROUNDS }, (_, round) => digest.readUInt32LE(4 * round));
  }

  at(index: number): number {
    let number = index;
    // At most four times the range is walked over: a few steps on average.
    do number = this.#encrypt(number);
    while (number >= this.size);
    return number;
  }

  #encrypt(number: number): number {
    const base = 2 ** this.#half;
    let left = Math.floor(number / base);
    let right = number % base;
    for (const key of this.#keys) [left, right] = [right, (left ^ (mixed(right ^ key) & (base - 1))) >>> 0];
    return left * base + right;
  }
}

/** The finalizer of MurmurHash3 (public domain), whose every input bit changes each output bit with a chance of a half. */
function mixed(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

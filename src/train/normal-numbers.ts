// Numbers of a normal distribution from a seed, the same on every machine: xoshiro128** (Blackman, Vigna: arXiv:1805.01407) and
// Marsaglia's polar method, with the logarithm of model/elementary.ts.
import { logarithm } from "../model/elementary.js";

/** Fills arrays of its own stream, one after another. */
export class NormalNumbers {
  readonly #state: Uint32Array;

  /** `stream`: another one is another sequence of the same seed. Both are whole numbers below 2³². */
  constructor(seed: number, stream: number) {
    // SplitMix32 of both: no state is all zeros, and near seeds are far apart.
    let counter = (seed ^ Math.imul(stream + 1, 0x9e3779b9)) >>> 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      counter = (counter + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(counter ^ (counter >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      return (mixed ^ (mixed >>> 16)) >>> 0;
    });
    if (this.#state.every((word) => word === 0)) this.#state[0] = 1;
  }

  /** With mean 0 and so great a standard deviation. */
  fill(array: Float32Array, deviation: number): Float32Array {
    for (let i = 0; i < array.length; i += 2) {
      let [x, y, square] = [0, 0, 0];
      while (square === 0 || square >= 1) {
        x = this.#next() / 2 ** 31 - 1;
        y = this.#next() / 2 ** 31 - 1;
        square = x * x + y * y;
      }
      const stretch = deviation * Math.sqrt((-2 * logarithm(square)) / square);
      array[i] = x * stretch;
      if (i + 1 < array.length) array[i + 1] = y * stretch;
    }
    return array;
  }

  /** 32 bits. */
  #next(): number {
    const s = this.#state;
    const times5 = Math.imul(s[1]!, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const shifted = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= shifted;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result;
  }
}

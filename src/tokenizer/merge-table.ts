// Which pairs of tokens merge, in what order, into what: an open-addressing table in typed arrays, because a Map of Llama 3's
// 280 000 merges would be the largest thing in the heap.

export interface Merge {
  readonly left: number;
  readonly right: number;
  /** Lower ranks merge first. */
  readonly rank: number;
  readonly merged: number;
}

const EMPTY = -1;

export class MergeTable {
  readonly #mask: number;
  readonly #left: Int32Array;
  readonly #right: Int32Array;
  readonly #rank: Int32Array;
  readonly #merged: Int32Array;

  /** Of merges of the same pair the first counts. `count`: how many there are, at most. */
  constructor(merges: Iterable<Merge>, count: number) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(2, count * 2)));
    this.#mask = slots - 1;
    this.#left = new Int32Array(slots).fill(EMPTY);
    this.#right = new Int32Array(slots);
    this.#rank = new Int32Array(slots);
    this.#merged = new Int32Array(slots);
    for (const { left, right, rank, merged } of merges) {
      const slot = this.#slotOf(left, right);
      if (this.#left[slot] !== EMPTY) continue;
      this.#left[slot] = left;
      this.#right[slot] = right;
      this.#rank[slot] = rank;
      this.#merged[slot] = merged;
    }
  }

  /** A handle for {@link rank} and {@link merged}; −1 where the pair does not merge. */
  find(left: number, right: number): number {
    const slot = this.#slotOf(left, right);
    return this.#left[slot] === EMPTY ? -1 : slot;
  }

  rank(handle: number): number {
    return this.#rank[handle]!;
  }

  merged(handle: number): number {
    return this.#merged[handle]!;
  }

  /** Where the pair is, or the empty slot where it would be. */
  #slotOf(left: number, right: number): number {
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) & this.#mask;
    while (this.#left[slot] !== EMPTY && (this.#left[slot] !== left || this.#right[slot] !== right)) {
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }
}

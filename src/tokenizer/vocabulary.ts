// The bytes of every token, in one block: a vocabulary of 128 000 strings would take tens of megabytes of heap.

export class Vocabulary {
  /** One more than the greatest id. */
  readonly size: number;
  readonly #bytes: Uint8Array;
  readonly #ends: Int32Array; // token id lies in bytes #ends[id] … #ends[id + 1]

  /** @param tokens the bytes of each id; ids without a token are absent. */
  constructor(tokens: ReadonlyMap<number, ArrayLike<number>>) {
    this.size = 0;
    let total = 0;
    for (const [id, bytes] of tokens) {
      this.size = Math.max(this.size, id + 1);
      total += bytes.length;
    }
    this.#bytes = new Uint8Array(total);
    this.#ends = new Int32Array(this.size + 1);
    let end = 0;
    for (let id = 0; id < this.size; id++) {
      const bytes = tokens.get(id);
      if (bytes !== undefined) {
        this.#bytes.set(bytes, end);
        end += bytes.length;
      }
      this.#ends[id + 1] = end;
    }
  }

  /** The bytes of a token: none for an id without one. */
  bytesOf(id: number): Uint8Array {
    return this.#bytes.subarray(this.#ends[id], this.#ends[id + 1]);
  }
}

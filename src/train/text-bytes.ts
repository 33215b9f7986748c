// How many bytes of text ids stand for, so that losses can be compared across tokenizers.
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** What is used of a {@link Tokenizer}. */
export type TextTokenizer = Pick<Tokenizer, "specialTokens" | "decodeBytes" | "decodeSingleTokenBytes">;

export class TextBytes {
  readonly #tokenizer: TextTokenizer;
  readonly #special: ReadonlySet<number>;
  readonly #bytes = new Map<number, number>();

  constructor(tokenizer: TextTokenizer) {
    this.#tokenizer = tokenizer;
    this.#special = new Set(tokenizer.specialTokens.values());
  }

  /** Of an id behind another one: special ones have none, and the first of a text is without the space that some tokenizers add. */
  of(id: number, before: number): number {
    if (this.#special.has(id)) return 0;
    if (this.#special.has(before)) return this.#tokenizer.decodeBytes([id]).length;
    let bytes = this.#bytes.get(id);
    if (bytes === undefined) {
      bytes = this.#tokenizer.decodeSingleTokenBytes(id).length;
      this.#bytes.set(id, bytes);
    }
    return bytes;
  }
}

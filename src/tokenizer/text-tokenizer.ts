// Text to ids and back, from the parts that the two file formats fill in.
import { QuipuError } from "../errors.js";
import { type AddedToken, AddedTokens } from "./added-tokens.js";
import type { PreTokenizer } from "./pre-tokenizer.js";
import { makeStreamDecoder, type StreamDecoder } from "./stream-decoder.js";
import type { EncodeOptions, Tokenizer } from "./tokenizer.js";
import { Vocabulary } from "./vocabulary.js";

export interface TokenizerParts {
  /** The bytes of every token that is not an added one. */
  readonly tokens: ReadonlyMap<number, ArrayLike<number>>;
  readonly addedTokens: readonly AddedToken[];
  readonly preTokenize: PreTokenizer;
  /** The ids of one piece. */
  readonly encodePiece: (piece: string) => readonly number[];
  readonly bosId: number | undefined;
  readonly addsBos: boolean;
}

// Words repeat: with these many remembered, nearly all pieces of a long text are known.
const CACHED_PIECES = 16384;
const CACHED_LENGTH = 32;

export class TextTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosId: number | undefined;
  readonly addsBos: boolean;
  readonly #vocabulary: Vocabulary;
  readonly #added: AddedTokens;
  readonly #specialIds: ReadonlySet<number>;
  readonly #preTokenize: PreTokenizer;
  readonly #encodePiece: (piece: string) => readonly number[];
  readonly #cache = new Map<string, readonly number[]>();

  constructor({ tokens, addedTokens, preTokenize, encodePiece, bosId, addsBos }: TokenizerParts) {
    const utf8 = new TextEncoder();
    this.#vocabulary = new Vocabulary(
      new Map([...tokens, ...addedTokens.map(({ id, text }) => [id, utf8.encode(text)] as const)]),
    );
    this.vocabSize = this.#vocabulary.size;
    const special = addedTokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map(({ text, id }) => [text, id]));
    this.#specialIds = new Set(special.map(({ id }) => id));
    this.#added = new AddedTokens(addedTokens);
    this.#preTokenize = preTokenize;
    this.#encodePiece = encodePiece;
    this.bosId = bosId;
    this.addsBos = addsBos && bosId !== undefined;
  }

  encode(text: string, { bos = false, special = false }: EncodeOptions = {}): Int32Array {
    const ids: number[] = bos && this.bosId !== undefined ? [this.bosId] : [];
    for (const segment of this.#added.split(text, special)) {
      if ("id" in segment) {
        ids.push(segment.id);
        continue;
      }
      for (const piece of this.#preTokenize(segment.text)) {
        for (const id of this.#idsOf(piece)) ids.push(id);
      }
    }
    return Int32Array.from(ids);
  }

  count(text: string, options: EncodeOptions = {}): number {
    return this.encode(text, options).length;
  }

  decode(ids: Iterable<number>, { special = false }: { special?: boolean | undefined } = {}): string {
    const decoder = makeStreamDecoder((id) => this.decodeSingleTokenBytes(id));
    let text = "";
    for (const id of ids) {
      if (special || !this.#specialIds.has(id)) text += decoder.push(id);
    }
    return text + decoder.end();
  }

  decodeSingleTokenBytes(id: number): Uint8Array {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabSize) return this.#vocabulary.bytesOf(id).slice();
    throw new QuipuError("ERR_USAGE", `token id: expected a whole number from 0 to ${this.vocabSize - 1}, got ${id}`);
  }

  streamDecoder(): StreamDecoder {
    // A model's vocabulary may be padded beyond the tokenizer's: those ids have no text.
    return makeStreamDecoder((id) =>
      id >= this.vocabSize || this.#specialIds.has(id) ? new Uint8Array() : this.#vocabulary.bytesOf(id),
    );
  }

  #idsOf(piece: string): readonly number[] {
    const known = this.#cache.get(piece);
    if (known !== undefined) return known;
    const ids = this.#encodePiece(piece);
    if (piece.length <= CACHED_LENGTH) {
      if (this.#cache.size >= CACHED_PIECES) this.#cache.clear();
      this.#cache.set(piece, ids);
    }
    return ids;
  }
}

// Text to ids and back by the native engine (native/tokenizer), from the parts that the file formats fill in. Where a file cuts text
// by a pattern that the engine does not know, text is cut here, by a regular expression, and the engine gets the pieces.
import { isUtf8 } from "node:buffer";
import { callNative, fromNative } from "../addon/addon.js";
import type { NativeEncodeOptions, NativeTokenizer, NativeVocabulary } from "../addon/addon-types.js";
import { availableThreads } from "../addon/process-limits.js";
import { QuipuError } from "../errors.js";
import { type AddedToken, AllowedTokens, toNative } from "./added-tokens.js";
import type { PreTokenizer } from "./pre-tokenizer.js";
import { makeStreamDecoder, type StreamDecoder } from "./stream-decoder.js";
import { encodeChunks, textParts } from "./stream-encoder.js";
import type { BatchOptions, EncodeOptions, Text, TokenizedText, Tokenizer } from "./tokenizer.js";

export interface TokenizerParts {
  readonly vocabulary: NativeVocabulary;
  /** How text is cut: a pattern of the engine, or a function where it has none. */
  readonly pieces: number | PreTokenizer;
  /** A piece that is a token becomes it even if merging would not lead there. */
  readonly wholePieces: boolean;
  readonly addedTokens: readonly AddedToken[];
  readonly bosId: number | undefined;
  readonly addsBos: boolean;
}

export class EngineTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosId: number | undefined;
  readonly addsBos: boolean;
  readonly #native: NativeTokenizer;
  readonly #preTokenize: PreTokenizer | undefined;
  readonly #allowed: AllowedTokens;
  readonly #specialIds: ReadonlySet<number>;

  constructor({ vocabulary, pieces, wholePieces, addedTokens, bosId, addsBos }: TokenizerParts) {
    const pattern = typeof pieces === "number" ? pieces : -1;
    this.#preTokenize = typeof pieces === "number" ? undefined : pieces;
    this.#native = callNative((addon) => new addon.Tokenizer(vocabulary, pattern, wholePieces, toNative(addedTokens)));
    this.vocabSize = this.#native.vocabSize();
    const special = addedTokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map(({ text, id }) => [text, id]));
    this.#specialIds = new Set(special.map(({ id }) => id));
    this.#allowed = new AllowedTokens(addedTokens);
    this.bosId = bosId;
    this.addsBos = addsBos && bosId !== undefined;
  }

  encode(text: Text, options: EncodeOptions = {}): Int32Array {
    const native = this.#options(options);
    if (this.#preTokenize !== undefined) return this.#encodeCut(text, native, this.#preTokenize);
    return new Int32Array(callNative(() => this.#native.encode(text, ...native)));
  }

  count(text: Text, options: EncodeOptions = {}): number {
    if (this.#preTokenize !== undefined) return this.encode(text, options).length;
    return callNative(() => this.#native.count(text, ...this.#options(options)));
  }

  async encodeAsync(text: Text, options: EncodeOptions = {}): Promise<Int32Array> {
    const [ids] = await this.encodeBatch([text], { ...options, threads: 1 });
    return ids!;
  }

  async countAsync(text: Text, options: EncodeOptions = {}): Promise<number> {
    if (this.#preTokenize !== undefined) return this.count(text, options);
    const { places } = await this.#encodeAll([text], false, 1, options);
    const [, , count] = new Float64Array(places);
    return count!;
  }

  async encodeBatch(texts: readonly Text[], options: BatchOptions = {}): Promise<Int32Array[]> {
    if (this.#preTokenize !== undefined) return texts.map((text) => this.encode(text, options));
    const threads = Math.min(options.threads ?? availableThreads(), texts.length);
    const { places, ids } = await this.#encodeAll(texts, true, threads, options);
    const numbers = new Float64Array(places);
    return texts.map((_, i) => {
      const [buffer, start, count] = [numbers[3 * i]!, numbers[3 * i + 1]!, numbers[3 * i + 2]!];
      return new Int32Array(ids![buffer]!, start * Int32Array.BYTES_PER_ELEMENT, count);
    });
  }

  encodeStream(chunks: Iterable<Text> | AsyncIterable<Text>, options: EncodeOptions = {}): AsyncGenerator<Int32Array> {
    if (this.#preTokenize !== undefined) return this.#encodeWhole(chunks, options);
    const native = this.#options(options);
    return encodeChunks(
      callNative((addon) => new addon.EncodeStream(this.#native, ...native)),
      chunks,
    );
  }

  decode(ids: Iterable<number>, { special = false }: { special?: boolean | undefined } = {}): string {
    return callNative(() => this.#native.decode(this.#idsOf(ids), special));
  }

  decodeBytes(ids: Iterable<number>, { special = false }: { special?: boolean | undefined } = {}): Uint8Array {
    return new Uint8Array(callNative(() => this.#native.decodeBytes(this.#idsOf(ids), special)));
  }

  decodeSingleTokenBytes(id: number): Uint8Array {
    this.#check(id);
    return new Uint8Array(callNative(() => this.#native.bytesOf(id)));
  }

  decodeTokensWithOffsets(ids: Iterable<number>): TokenizedText {
    const decoder = makeStreamDecoder((id) => this.decodeSingleTokenBytes(id));
    const offsets: number[] = [];
    let text = "";
    for (const id of ids) {
      offsets.push(text.length);
      text += decoder.push(id);
    }
    return { text: text + decoder.end(), offsets: Int32Array.from(offsets) };
  }

  streamDecoder(): StreamDecoder {
    // A model's vocabulary may be padded beyond the tokenizer's: those ids have no text.
    return makeStreamDecoder((id) =>
      id >= this.vocabSize || this.#specialIds.has(id) ? new Uint8Array() : new Uint8Array(this.#native.bytesOf(id)),
    );
  }

  #options({ bos = false, special = false }: EncodeOptions): NativeEncodeOptions {
    return [this.#allowed.of(special), special === "error", bos ? (this.bosId ?? -1) : -1];
  }

  async #encodeAll(texts: readonly Text[], keep: boolean, threads: number, options: EncodeOptions) {
    const native = this.#options(options);
    try {
      return await callNative(() => this.#native.encodeAll(texts, keep, threads, ...native));
    } catch (error) {
      throw fromNative(error);
    }
  }

  #check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabSize) return;
    throw new QuipuError("ERR_USAGE", `token id: expected a whole number from 0 to ${this.vocabSize - 1}, got ${id}`);
  }

  #idsOf(ids: Iterable<number>): Int32Array {
    if (ids instanceof Int32Array) return ids;
    const list = [...ids];
    for (const id of list) this.#check(id);
    return Int32Array.from(list);
  }

  #encodeCut(text: Text, options: NativeEncodeOptions, preTokenize: PreTokenizer): Int32Array {
    const bytes = typeof text === "string" ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.length);
    if (!isUtf8(bytes)) {
      throw new QuipuError("ERR_USAGE", "bytes that are no UTF-8: this tokenizer's pattern can only cut text");
    }
    const segments = new Int32Array(callNative(() => this.#native.segments(bytes, ...options)));
    const parts: Int32Array[] = options[2] >= 0 ? [Int32Array.of(options[2])] : [];
    for (let i = 0; i < segments.length; i += 3) {
      const [start, end, id] = segments.subarray(i, i + 3) as unknown as [number, number, number];
      if (id >= 0) {
        parts.push(Int32Array.of(id));
        continue;
      }
      const pieces = preTokenize(bytes.toString("utf8", start, end)).map((piece) => Buffer.from(piece));
      let at = 0;
      const ends = Int32Array.from(pieces, (piece) => (at += piece.length));
      parts.push(new Int32Array(callNative(() => this.#native.encodePieces(Buffer.concat(pieces), ends))));
    }
    const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      ids.set(part, at);
      at += part.length;
    }
    return ids;
  }

  /** Any pattern may look any distance ahead, so nothing is known before the end. */
  async *#encodeWhole(
    chunks: Iterable<Text> | AsyncIterable<Text>,
    options: EncodeOptions,
  ): AsyncGenerator<Int32Array> {
    const parts: Buffer[] = [];
    for await (const part of textParts(chunks)) parts.push(Buffer.from(part as string));
    yield this.encode(Buffer.concat(parts), options);
  }
}

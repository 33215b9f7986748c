// Text to ids and back by the native engine (native/tokenizer), from the parts that the file formats fill in. Where a file cuts text
// by a pattern that the engine does not know, text is cut here, by a regular expression, and the engine gets the pieces.
import { isUtf8 } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { callNative, fromNative } from "../addon/addon.js";
import type { NativeEncodeOptions, NativeTokenizer, NativeVocabulary } from "../addon/addon-types.js";
import {
  checkArgument,
  idsOf,
  iterable,
  listOf,
  readOptions,
  textOrBytes,
  whole,
  wrongArgument,
} from "../arguments.js";
import { QuipuError } from "../errors.js";
import { threadsFor } from "../machine/process-limits.js";
import { type AddedToken, AllowedTokens, toNative } from "./added-tokens.js";
import type { DecodingSteps } from "./decoder.js";
import type { NormalizerStep } from "./normalizer.js";
import {
  BATCH_OPTIONS,
  DECODE_OPTIONS,
  ENCODE_OPTIONS,
  STREAM_DECODER_OPTIONS,
  STREAM_OPTIONS,
} from "./option-kinds.js";
import type { Pieces, PreTokenizer } from "./pre-tokenizer.js";
import { makeStreamDecoder, type StreamDecoder, type Stripping } from "./stream-decoder.js";
import { encodeChunks, encodingAborted, textParts } from "./stream-encoder.js";
import type {
  BatchOptions,
  DecodeOptions,
  EncodeOptions,
  StreamDecoderOptions,
  StreamOptions,
  Text,
  TokenizedText,
  Tokenizer,
} from "./tokenizer.js";

const CHUNKS = iterable("a stream of strings and Uint8Arrays");

/** Bytes of pieces that are cut here, at a time; the event loop runs in between. */
const ENCODED_TOGETHER = 2 ** 16;

/** What becomes of characters that are no tokens; without either they are left out. */
export interface UnknownCharacters {
  /** The ids of their bytes, where all of them have one; */
  readonly asBytes: boolean;
  /** else this one, */
  readonly id: number | undefined;
  /** once for several in a row. */
  readonly fused: boolean;
}

export interface TokenizerParts {
  readonly vocabulary: NativeVocabulary;
  readonly pieces: Pieces;
  /** What is done to text first; default nothing. */
  readonly normalizer?: readonly NormalizerStep[];
  /** Where tokens are text: */
  readonly unknown?: UnknownCharacters;
  readonly decoding?: DecodingSteps;
  /** A piece that is a token becomes it even if merging would not lead there. */
  readonly wholePieces: boolean;
  readonly addedTokens: readonly AddedToken[];
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addsBos: boolean;
}

export class EngineTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly addsBos: boolean;
  readonly #native: NativeTokenizer;
  readonly #preTokenize: PreTokenizer | undefined;
  readonly #allowed: AllowedTokens;
  readonly #specialIds: ReadonlySet<number>;
  readonly #strips: Stripping;

  constructor({ vocabulary, pieces, wholePieces, addedTokens, bosId, eosId, addsBos, ...parts }: TokenizerParts) {
    const pattern = typeof pieces === "number" ? pieces : -1;
    this.#preTokenize = typeof pieces === "function" ? pieces : undefined;
    const { normalizer = [], unknown, decoding } = parts;
    const { asBytes, id = -1, fused } = unknown ?? { asBytes: false, fused: false };
    this.#strips = { text: decoding?.stripped ?? "", most: decoding?.strips ?? 0 };
    this.#native = callNative(
      (addon) =>
        new addon.Tokenizer(
          vocabulary,
          pattern,
          wholePieces,
          normalizer.flat(),
          toNative(addedTokens),
          typeof pieces === "object" ? [pieces.mark, pieces.everywhere, pieces.spaces, pieces.prepends] : null,
          [asBytes, id, fused],
          decoding === undefined ? null : toNativeSteps(decoding),
        ),
    );
    this.vocabSize = this.#native.vocabSize();
    const special = addedTokens.filter((token) => token.special);
    this.specialTokens = new Map(special.map(({ text, id }) => [text, id]));
    this.#specialIds = new Set(special.map(({ id }) => id));
    this.#allowed = new AllowedTokens(addedTokens);
    this.bosId = bosId;
    this.eosId = eosId;
    this.addsBos = addsBos && bosId !== undefined;
  }

  encode(text: Text, options?: EncodeOptions): Int32Array {
    if (typeof text !== "string") checkArgument("text", text, textOrBytes);
    const native = this.#options("encode", options);
    if (this.#preTokenize !== undefined) return this.#encodeCut(text, native, this.#preTokenize);
    return new Int32Array(callNative(() => this.#native.encode(text, ...native)));
  }

  count(text: Text, options?: EncodeOptions): number {
    if (this.#preTokenize !== undefined) return this.encode(text, options).length;
    if (typeof text !== "string") checkArgument("text", text, textOrBytes);
    const native = this.#options("count", options);
    return callNative(() => this.#native.count(text, ...native));
  }

  async encodeAsync(text: Text, options?: EncodeOptions): Promise<Int32Array> {
    checkArgument("text", text, textOrBytes);
    const read = readOptions<EncodeOptions>("encodeAsync", options, ENCODE_OPTIONS);
    const [ids] = await this.encodeBatch([text], { ...read, threads: 1 });
    return ids!;
  }

  async countAsync(text: Text, options?: EncodeOptions): Promise<number> {
    checkArgument("text", text, textOrBytes);
    if (this.#preTokenize !== undefined) return (await this.encodeAsync(text, options)).length;
    const { places } = await this.#encodeAll([text], false, 1, this.#options("countAsync", options));
    const [, , count] = new Float64Array(places);
    return count!;
  }

  async encodeBatch(texts: readonly Text[], given?: BatchOptions): Promise<Int32Array[]> {
    checkArgument("texts", texts, listOf(textOrBytes, "a list of strings and Uint8Arrays"));
    const { threads, ...options } = readOptions<BatchOptions>("encodeBatch", given, BATCH_OPTIONS);
    if (this.#preTokenize !== undefined) return this.#encodeEach(texts, options);
    const most = Math.min(threadsFor(threads), texts.length);
    const { places, ids } = await this.#encodeAll(texts, true, most, this.#options("encodeBatch", options));
    const numbers = new Float64Array(places);
    return texts.map((_, i) => {
      const [buffer, start, count] = [numbers[3 * i]!, numbers[3 * i + 1]!, numbers[3 * i + 2]!];
      return new Int32Array(ids![buffer]!, start * Int32Array.BYTES_PER_ELEMENT, count);
    });
  }

  encodeStream(chunks: Iterable<Text> | AsyncIterable<Text>, given?: StreamOptions): AsyncGenerator<Int32Array> {
    checkArgument("chunks", chunks, CHUNKS);
    const { signal, ...options } = readOptions<StreamOptions>("encodeStream", given, STREAM_OPTIONS);
    const native = this.#options("encodeStream", options);
    if (this.#preTokenize !== undefined) return this.#encodeWhole(chunks, native, this.#preTokenize, signal);
    return encodeChunks(
      callNative((addon) => new addon.EncodeStream(this.#native, ...native)),
      chunks,
      signal,
    );
  }

  decode(ids: Iterable<number>, options?: DecodeOptions): string {
    const { special = false } = readOptions<DecodeOptions>("decode", options, DECODE_OPTIONS);
    return callNative(() => this.#native.decode(this.#idsOf(ids), special));
  }

  decodeBytes(ids: Iterable<number>, options?: DecodeOptions): Uint8Array {
    const { special = false } = readOptions<DecodeOptions>("decodeBytes", options, DECODE_OPTIONS);
    return new Uint8Array(callNative(() => this.#native.decodeBytes(this.#idsOf(ids), special)));
  }

  decodeSingleTokenBytes(id: number): Uint8Array {
    checkArgument("id", id, whole(0, this.vocabSize - 1));
    return new Uint8Array(callNative(() => this.#native.bytesOf(id, false)));
  }

  decodeTokensWithOffsets(ids: Iterable<number>): TokenizedText {
    const decoder = makeStreamDecoder((id, first) => new Uint8Array(this.#native.bytesOf(id, first)), this.#strips);
    const offsets: number[] = [];
    let text = "";
    for (const id of idsOf("ids", ids, this.vocabSize)) {
      offsets.push(text.length);
      text += decoder.push(id);
    }
    return { text: text + decoder.end(), offsets: Int32Array.from(offsets) };
  }

  streamDecoder(options?: StreamDecoderOptions): StreamDecoder {
    const { goesOn = false } = readOptions<StreamDecoderOptions>("streamDecoder", options, STREAM_DECODER_OPTIONS);
    // A model's vocabulary may be padded beyond the tokenizer's: those ids have no text.
    const bytesOf = (id: number, first: boolean) => {
      if (!(Number.isInteger(id) && id >= 0)) throw wrongArgument("id", "an id, a whole number", id);
      if (id >= this.vocabSize || this.#specialIds.has(id)) return undefined;
      return new Uint8Array(this.#native.bytesOf(id, first && !goesOn));
    };
    return makeStreamDecoder(bytesOf, goesOn ? undefined : this.#strips);
  }

  #options(call: string, options: EncodeOptions | undefined): NativeEncodeOptions {
    const { bos = false, special = false } = readOptions<EncodeOptions>(call, options, ENCODE_OPTIONS);
    return [this.#allowed.of(special), special === "error", bos ? (this.bosId ?? -1) : -1];
  }

  async #encodeAll(texts: readonly Text[], keep: boolean, threads: number, native: NativeEncodeOptions) {
    try {
      return await callNative(() => this.#native.encodeAll(texts, keep, threads, ...native));
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Native code checks an Int32Array itself. */
  #idsOf(ids: Iterable<number>): Int32Array {
    return ArrayBuffer.isView(ids) && ids instanceof Int32Array ? ids : idsOf("ids", ids, this.vocabSize);
  }

  #encodeCut(text: Text, options: NativeEncodeOptions, preTokenize: PreTokenizer): Int32Array {
    return concatenated([...this.#cutParts(text, options, preTokenize)]);
  }

  /** The ids of a text that is cut here, some pieces at a time. */
  *#cutParts(text: Text, options: NativeEncodeOptions, preTokenize: PreTokenizer): Iterable<Int32Array> {
    const given = typeof text === "string" ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.length);
    if (!isUtf8(given)) {
      throw new QuipuError("ERR_USAGE", "text: bytes that are no UTF-8: this tokenizer can only cut text", {
        option: "text",
      });
    }
    const { text: normalized, parts } = callNative(() => this.#native.parts(given, ...options));
    const bytes = normalized === undefined ? given : Buffer.from(normalized);
    const places = new Int32Array(parts);
    if (options[2] >= 0) yield Int32Array.of(options[2]);
    for (let i = 0; i < places.length; i += 3) {
      const [start, end, id] = places.subarray(i, i + 3) as unknown as [number, number, number];
      if (id >= 0) yield Int32Array.of(id);
      else yield* this.#encodePieces(preTokenize(bytes.toString("utf8", start, end), i === 0));
    }
  }

  *#encodePieces(pieces: Iterable<Uint8Array>): Iterable<Int32Array> {
    let together: Uint8Array[] = [];
    let ends: number[] = [];
    const encoded = () =>
      new Int32Array(callNative(() => this.#native.encodePieces(Buffer.concat(together), Int32Array.from(ends))));
    for (const piece of pieces) {
      together.push(piece);
      ends.push((ends.at(-1) ?? 0) + piece.length);
      if (ends.at(-1)! < ENCODED_TOGETHER) continue;
      yield encoded();
      together = [];
      ends = [];
    }
    if (ends.length > 0) yield encoded();
  }

  /** On this thread, as patterns are, with the event loop in between. */
  async #encodeEach(texts: readonly Text[], options: EncodeOptions): Promise<Int32Array[]> {
    const all: Int32Array[] = [];
    for (const text of texts) {
      const parts: Int32Array[] = [];
      for await (const ids of this.encodeStream([text], options)) parts.push(ids);
      all.push(concatenated(parts));
    }
    return all;
  }

  /** Any pattern may look any distance ahead, so nothing is known before the end. */
  async *#encodeWhole(
    chunks: Iterable<Text> | AsyncIterable<Text>,
    options: NativeEncodeOptions,
    preTokenize: PreTokenizer,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Int32Array> {
    const chunksOfBytes: Buffer[] = [];
    for await (const part of textParts(chunks)) {
      if (signal?.aborted) throw encodingAborted(signal);
      chunksOfBytes.push(Buffer.from(part as string));
    }
    for (const ids of this.#cutParts(Buffer.concat(chunksOfBytes), options, preTokenize)) {
      if (ids.length > 0) yield ids;
      await setImmediate();
      if (signal?.aborted) throw encodingAborted(signal);
    }
  }
}

function toNativeSteps({ bytes, stripped, strips, droppedInFirst, replacements }: DecodingSteps) {
  return [bytes, stripped, strips, droppedInFirst, ...replacements.flat()];
}

function concatenated(parts: readonly Int32Array[]): Int32Array {
  const ids = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return ids;
}

// Text to ids and back by the native engine (native/tokenizer), from the parts that the file formats fill in. Where a file asks for a
// pattern that the engine does not know, that is sought in JavaScript (cut-encoder.ts).
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
import { threadsFor } from "../machine/process-limits.js";
import { type AddedToken, AllowedTokens, toNative } from "./added-tokens.js";
import { CutEncoder } from "./cut-encoder.js";
import { type DecodingSteps, NO_DECODING } from "./decoder.js";
import type { Normalization } from "./normalizer.js";
import {
  BATCH_OPTIONS,
  DECODE_OPTIONS,
  ENCODE_OPTIONS,
  STREAM_DECODER_OPTIONS,
  STREAM_OPTIONS,
} from "./option-kinds.js";
import type { Pieces } from "./pre-tokenizer.js";
import {
  eachByteDecoder,
  joiningDecoder,
  makeStreamDecoder,
  type StreamDecoder,
  type Stripping,
} from "./stream-decoder.js";
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
  readonly normalizer?: Normalization;
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
  /** Where the engine does not do all of it. */
  readonly #cut: CutEncoder | undefined;
  readonly #allowed: AllowedTokens;
  readonly #specialIds: ReadonlySet<number>;
  readonly #strips: Stripping;
  readonly #utf8: typeof joiningDecoder;

  constructor({ vocabulary, pieces, wholePieces, addedTokens, bosId, eosId, addsBos, ...parts }: TokenizerParts) {
    const pattern = typeof pieces === "number" ? pieces : -1;
    const { normalizer = [], unknown, decoding } = parts;
    const normalize = typeof normalizer === "function" ? normalizer : undefined;
    const sought = normalize === undefined ? addedTokens : addedTokens.map((token) => normalizedBy(normalize, token));
    const { asBytes, id = -1, fused } = unknown ?? { asBytes: false, fused: false };
    const { stripped: text, strips: most, untilText } = decoding ?? NO_DECODING;
    this.#strips = { text, most, untilText };
    this.#utf8 = decoding?.bytes === true ? eachByteDecoder : joiningDecoder;
    this.#native = callNative(
      (addon) =>
        new addon.Tokenizer(
          vocabulary,
          pattern,
          wholePieces,
          typeof normalizer === "function" ? [] : normalizer.flat(),
          toNative(sought),
          typeof pieces === "object" ? [pieces.mark, pieces.everywhere, pieces.spaces, pieces.prepends] : null,
          [asBytes, id, fused],
          decoding === undefined ? null : toNativeSteps(decoding),
        ),
    );
    const preTokenize = typeof pieces === "function" ? pieces : undefined;
    if (preTokenize !== undefined || normalize !== undefined) {
      this.#cut = new CutEncoder(this.#native, { preTokenize, normalize, added: addedTokens.length });
    }
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
    if (this.#cut !== undefined) return concatenated([...this.#cut.encode(text, native)]);
    return new Int32Array(callNative(() => this.#native.encode(text, ...native)));
  }

  count(text: Text, options?: EncodeOptions): number {
    if (this.#cut !== undefined) return this.encode(text, options).length;
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
    if (this.#cut !== undefined) return (await this.encodeAsync(text, options)).length;
    const { places } = await this.#encodeAll([text], false, 1, this.#options("countAsync", options));
    const [, , count] = new Float64Array(places);
    return count!;
  }

  async encodeBatch(texts: readonly Text[], given?: BatchOptions): Promise<Int32Array[]> {
    checkArgument("texts", texts, listOf(textOrBytes, "a list of strings and Uint8Arrays"));
    const { threads, ...options } = readOptions<BatchOptions>("encodeBatch", given, BATCH_OPTIONS);
    if (this.#cut !== undefined) return this.#encodeEach(texts, options);
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
    if (this.#cut !== undefined) return encodeWhole(this.#cut, chunks, native, signal);
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
    return this.#bytesOf(id, false) ?? new Uint8Array();
  }

  decodeTokensWithOffsets(ids: Iterable<number>): TokenizedText {
    const decoder = makeStreamDecoder((id, first) => this.#bytesOf(id, first), this.#utf8(), this.#strips);
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
      return this.#bytesOf(id, first && !goesOn);
    };
    return makeStreamDecoder(bytesOf, this.#utf8(), goesOn ? undefined : this.#strips);
  }

  #bytesOf(id: number, first: boolean): Uint8Array | undefined {
    const bytes = callNative(() => this.#native.bytesOf(id, first));
    return bytes === null ? undefined : new Uint8Array(bytes);
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
}

/** A token whose text is sought in what `normalize` makes. */
function normalizedBy(normalize: (text: string) => string, token: AddedToken): AddedToken {
  return token.normalized ? { ...token, sought: token.sought ?? normalize(token.text) } : token;
}

/** Any pattern may look any distance ahead, so nothing is known before the end. */
async function* encodeWhole(
  encoder: CutEncoder,
  chunks: Iterable<Text> | AsyncIterable<Text>,
  options: NativeEncodeOptions,
  signal: AbortSignal | undefined,
): AsyncGenerator<Int32Array> {
  const chunksOfBytes: Buffer[] = [];
  for await (const part of textParts(chunks)) {
    if (signal?.aborted) throw encodingAborted(signal);
    chunksOfBytes.push(Buffer.from(part as string));
  }
  yield* encoder.encodeInTurns(Buffer.concat(chunksOfBytes), options, signal);
}

function toNativeSteps({ replacements, ...steps }: DecodingSteps) {
  const { bytes, stripped, strips, droppedInFirst, onlyPrefix, untilText, keepsValid } = steps;
  return [bytes, stripped, strips, droppedInFirst, onlyPrefix, untilText, keepsValid, ...replacements.flat()];
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

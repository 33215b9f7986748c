// What a tokenizer offers, whatever file it comes from. Narrow, so that another engine can take its place.
import type { StreamDecoder } from "./stream-decoder.js";

/** Text, or its bytes. From bytes that are no UTF-8 on, all of it is one piece, as in tiktoken. */
export type Text = string | Uint8Array;

/**
 * Special tokens in a text: false: plain text like any other; true: they become their ids; names: those become their ids, the
 * others are plain text; "error": there may be none.
 */
export type SpecialText = boolean | "error" | readonly string[];

export interface EncodeOptions {
  /** Puts the begin-of-text id first, where the tokenizer has one; default false. */
  readonly bos?: boolean | undefined;
  /** Default false. */
  readonly special?: SpecialText | undefined;
}

export interface StreamOptions extends EncodeOptions {
  /** Ends the stream with ERR_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

export interface BatchOptions extends EncodeOptions {
  /** Default, and at most: the processors that this process has. The result does not depend on it. */
  readonly threads?: number | undefined;
}

export interface DecodeOptions {
  /** The texts of special tokens too; default false: they are left out. */
  readonly special?: boolean | undefined;
}

export interface StreamDecoderOptions {
  /**
   * The ids go on with a text: what would begin one is not left out (the space that some tokenizers put before a text). Default
   * false.
   */
  readonly goesOn?: boolean | undefined;
}

export interface TokenizedText {
  readonly text: string;
  /** Where in `text` each token's first character begins, in UTF-16 units; one that a token before began counts as its. */
  readonly offsets: Int32Array;
}

/** Every method throws {@link QuipuError} ERR_USAGE for arguments that it cannot use, and for special text that `special` refuses. */
export interface Tokenizer {
  /** One more than the greatest id. */
  readonly vocabSize: number;
  /** Control tokens by their text. */
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosId: number | undefined;
  /** The id that ends a text, where the tokenizer names one. */
  readonly eosId: number | undefined;
  /** Whether a text that is completed begins with the begin-of-text id. */
  readonly addsBos: boolean;
  encode(text: Text, options?: EncodeOptions): Int32Array;
  count(text: Text, options?: EncodeOptions): number;
  /** Off the event loop: for texts of a megabyte and more. */
  encodeAsync(text: Text, options?: EncodeOptions): Promise<Int32Array>;
  countAsync(text: Text, options?: EncodeOptions): Promise<number>;
  /** The ids of each text, by several threads. */
  encodeBatch(texts: readonly Text[], options?: BatchOptions): Promise<Int32Array[]>;
  /** The ids of a text that comes in chunks, cut anywhere: together those of the whole. Holds only what can still change. */
  encodeStream(chunks: Iterable<Text> | AsyncIterable<Text>, options?: StreamOptions): AsyncGenerator<Int32Array>;
  /**
   * The text of ids, byte-exact; U+FFFD where the bytes are no UTF-8. Special tokens are left out unless asked for.
   *
   * @throws {QuipuError} ERR_USAGE for an id outside the vocabulary; so do the others.
   */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  decodeBytes(ids: Iterable<number>, options?: DecodeOptions): Uint8Array;
  decodeSingleTokenBytes(id: number): Uint8Array;
  /** The text of ids, special ones too, and where in it each begins. */
  decodeTokensWithOffsets(ids: Iterable<number>): TokenizedText;
  /** Decodes ids as they come, never splitting a character; special tokens are left out. */
  streamDecoder(options?: StreamDecoderOptions): StreamDecoder;
}

// Text to ids where a part of the way is not the engine's: a pattern that it has no machine for, or a normalizer that seeks one. Each text
// is held as a whole, and steps that are here and steps of the engine work on it in turn.
import { isUtf8 } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { callNative } from "../addon/addon.js";
import type { NativeEncodeOptions, NativeTokenizer } from "../addon/addon-types.js";
import { QuipuError } from "../errors.js";
import type { PreTokenizer } from "./pre-tokenizer.js";
import { encodeChunks, encodingAborted } from "./stream-encoder.js";
import type { Text } from "./tokenizer.js";

/** Bytes of pieces that are cut here, at a time; the event loop runs in between. */
const ENCODED_TOGETHER = 2 ** 16;

export interface Cutting {
  /** Else the engine cuts. */
  readonly preTokenize: PreTokenizer | undefined;
  /** Else the engine normalizes. */
  readonly normalize: ((text: string) => string) | undefined;
  /** How many added tokens there are. */
  readonly added: number;
}

/** The passes over added tokens that the engine is to take. */
const PASSES = { both: 0, raw: 1, normalized: 2 } as const;

export class CutEncoder {
  readonly #native: NativeTokenizer;
  readonly #preTokenize: PreTokenizer | undefined;
  readonly #normalize: ((text: string) => string) | undefined;
  readonly #plain: NativeEncodeOptions;

  constructor(native: NativeTokenizer, { preTokenize, normalize, added }: Cutting) {
    this.#native = native;
    this.#preTokenize = preTokenize;
    this.#normalize = normalize;
    this.#plain = [new Uint8Array(added), false, -1];
  }

  /** The ids of a text, some pieces at a time. @throws {QuipuError} ERR_USAGE for what is no UTF-8. */
  *encode(text: Text, options: NativeEncodeOptions): Iterable<Int32Array> {
    for (const part of this.#encodeParts(text, options)) {
      yield typeof part === "string"
        ? new Int32Array(callNative(() => this.#native.encode(part, ...this.#plain)))
        : part;
    }
  }

  /**
   * The same, with the event loop in between; never an empty array.
   *
   * @throws {QuipuError} ERR_ABORTED when `signal` says so.
   */
  async *encodeInTurns(
    text: Text,
    options: NativeEncodeOptions,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Int32Array> {
    for (const part of this.#encodeParts(text, options)) {
      if (typeof part === "string") {
        const stream = callNative((addon) => new addon.EncodeStream(this.#native, ...this.#plain));
        yield* encodeChunks(stream, [part], signal);
      } else if (part.length > 0) {
        yield part;
      }
      await setImmediate();
      if (signal?.aborted) throw encodingAborted(signal);
    }
  }

  /** Ids, and normalized text that the engine cuts. */
  *#encodeParts(text: Text, options: NativeEncodeOptions): Iterable<Int32Array | string> {
    const given = typeof text === "string" ? Buffer.from(text) : Buffer.from(text.buffer, text.byteOffset, text.length);
    if (!isUtf8(given)) {
      throw new QuipuError("ERR_USAGE", "text: bytes that are no UTF-8: this tokenizer can only cut text", {
        option: "text",
      });
    }
    if (options[2] >= 0) yield Int32Array.of(options[2]);
    let isFirst = true;
    for (const part of this.#partsOf(given, options)) {
      if (typeof part === "number") yield Int32Array.of(part);
      else if (this.#preTokenize === undefined) yield part;
      else yield* this.#encodePieces(this.#preTokenize(part, isFirst));
      isFirst = false;
    }
  }

  /** Ids of added tokens, and normalized text between them. */
  *#partsOf(given: Buffer, options: NativeEncodeOptions): Iterable<number | string> {
    if (this.#normalize === undefined) return yield* this.#split(given, PASSES.both, options);
    for (const part of this.#split(given, PASSES.raw, options)) {
      if (typeof part === "number") yield part;
      else yield* this.#split(Buffer.from(this.#normalize(part)), PASSES.normalized, options);
    }
  }

  *#split(given: Buffer, passes: 0 | 1 | 2, options: NativeEncodeOptions): Iterable<number | string> {
    const { text: normalized, parts } = callNative(() => this.#native.parts(given, passes, ...options));
    const bytes = normalized === undefined ? given : Buffer.from(normalized);
    const places = new Int32Array(parts);
    for (let i = 0; i < places.length; i += 3) {
      const [start, end, id] = places.subarray(i, i + 3) as unknown as [number, number, number];
      yield id >= 0 ? id : bytes.toString("utf8", start, end);
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
}

// Texts to ids as they are read, with progress.
import { QuipuError, type Tokenizer } from "../index.js";
import { write } from "./terminal/output.js";
import { Progress } from "./terminal/progress.js";
import type { TextSource } from "./text-sources.js";
import type { Measured } from "./token-counts.js";

/** Of a length that is not known. A shorter text is read before progress is worth drawing. */
const SHOWN_FROM = 2 ** 20;
/** Bytes of a text that become one where it is normalized: three at the most, in NFC. */
const SHRINKS = 4;

export interface EncoderOptions {
  readonly special: boolean;
  readonly bos: boolean;
  /** A text of unknown length is not read beyond this many tokens. */
  readonly limit: number | undefined;
  /** Nothing is printed of a text before all of it is known to be one. */
  readonly checksFirst: boolean;
  /** No progress. */
  readonly quiet: boolean;
}

/** Encodes sources one after another; draws how far it is. */
export class SourceEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #options: EncoderOptions;
  readonly #signal: AbortSignal;
  readonly #progress: Progress;
  readonly #total: number | undefined;
  #done = 0;
  #longest: number | undefined;

  constructor(tokenizer: Tokenizer, sources: readonly TextSource[], options: EncoderOptions, signal: AbortSignal) {
    this.#tokenizer = tokenizer;
    this.#options = options;
    this.#signal = signal;
    this.#progress = new Progress({ quiet: options.quiet });
    const sizes = sources.map(({ bytes }) => bytes);
    this.#total = sizes.includes(undefined) ? undefined : sizes.reduce((sum: number, size) => sum + size!, 0);
  }

  async measure(source: TextSource, keep: boolean): Promise<Measured> {
    const parts: Int32Array[] = [];
    const measured = await this.#encode(source, (ids) => keep && parts.push(ids));
    return keep ? { ...measured, ids: concatenate(parts, measured.count) } : measured;
  }

  /** Prints the ids in one line, as they come. */
  async print(source: TextSource): Promise<Measured> {
    if (this.#options.checksFirst) {
      const measured = await this.measure(source, true);
      await write(`${measured.ids!.join(" ")}\n`);
      return measured;
    }
    let separator = "";
    const measured = await this.#encode(source, async (ids) => {
      await write(separator + ids.join(" "));
      separator = " ";
    });
    await write("\n");
    return measured;
  }

  async #encode({ file, bytes: length, chunks }: TextSource, take: (ids: Int32Array) => unknown): Promise<Measured> {
    const { special, bos, limit = Number.POSITIVE_INFINITY } = this.#options;
    let isEndless = length === undefined; // until it ends
    let isCut = false;
    let count = 0;
    let bytes = 0;
    let second: number | undefined;
    const counted = async function* (this: SourceEncoder) {
      for await (const chunk of chunks) {
        if (this.#signal.aborted) throw new QuipuError("ERR_ABORTED", "interrupted while counting");
        if (typeof chunk === "string") isEndless = false; // words
        // A piece has no ids before it ends, but what was read has at least this many: no token is longer than the longest.
        isCut = isEndless && bytes > limit * SHRINKS && bytes > limit * SHRINKS * this.#longestToken();
        if (isCut) return;
        const length = typeof chunk === "string" ? Buffer.byteLength(chunk) : chunk.length;
        bytes += length;
        this.#done += length;
        this.#draw();
        yield chunk;
      }
      isEndless = false;
    }.call(this);
    try {
      for await (const ids of this.#tokenizer.encodeStream(counted, { special, bos, signal: this.#signal })) {
        second ??= ids[1 - count];
        if (bos && second === this.#tokenizer.bosId) {
          throw new QuipuError(
            "ERR_USAGE",
            "--bos: the text begins with the begin-of-text token. Leave out --bos or --special.",
          );
        }
        count += ids.length;
        await take(ids);
        isCut ||= isEndless && count > limit;
        if (isCut && count > limit) break;
      }
    } finally {
      this.#progress.erase();
    }
    return { ...(file === undefined ? {} : { file }), count, bytes, ...(isCut ? { isCut } : {}) };
  }

  /** Bytes. */
  #longestToken(): number {
    this.#longest ??= longestOf(this.#tokenizer);
    return this.#longest;
  }

  #draw(): void {
    if (this.#total !== undefined || this.#done >= SHOWN_FROM) {
      this.#progress.draw("counting", this.#done, this.#total);
    }
  }
}

function longestOf(tokenizer: Tokenizer): number {
  let longest = 1;
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    longest = Math.max(longest, tokenizer.decodeSingleTokenBytes(id).length);
  }
  return longest;
}

function concatenate(parts: readonly Int32Array[], length: number): Int32Array {
  const ids = new Int32Array(length);
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return ids;
}

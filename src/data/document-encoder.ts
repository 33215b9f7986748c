// Texts to documents of tokens, in their order: many short texts at once, by several threads, and long ones in parts. While texts are
// encoded, those before them are written and those behind them are read.
import { createHash } from "node:crypto";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { TokenWriter } from "./token-writer.js";

/** Of text that is encoded at once. */
const BATCH_BYTES = 2 ** 20;
/** Of a text, which decide whether it is held out: a text of any length is told from its beginning. */
const HASHED_BYTES = 2 ** 16;

export interface EncoderOptions {
  readonly packed: TokenWriter;
  readonly heldOut: TokenWriter | undefined;
  readonly holdOut: number;
  readonly threads: number;
  readonly signal: AbortSignal | undefined;
}

interface Document {
  readonly writer: TokenWriter;
  readonly textBytes: number;
}

export class DocumentEncoder {
  readonly #tokenizer: Tokenizer;
  readonly #options: EncoderOptions;
  #texts: (string | Uint8Array)[] = [];
  #documents: Document[] = [];
  #bytes = 0;
  #inFlight: { readonly documents: readonly Document[]; readonly ids: Promise<Int32Array[]> } | undefined;
  #emptyDocuments = 0;
  #longestDocument = 0;

  constructor(tokenizer: Tokenizer, options: EncoderOptions) {
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  get emptyDocuments(): number {
    return this.#emptyDocuments;
  }

  /** In tokens. */
  get longestDocument(): number {
    return this.#longestDocument;
  }

  /** Adds a document. Bytes are copied: they may be a small part of a buffer, and many of those are gathered. */
  async add(text: string | Uint8Array): Promise<void> {
    const textBytes = Buffer.byteLength(text);
    if (textBytes === 0) {
      this.#emptyDocuments += 1;
      return;
    }
    this.#texts.push(typeof text === "string" ? text : Uint8Array.from(text));
    this.#documents.push({ writer: this.#writerOf(text), textBytes });
    this.#bytes += textBytes;
    if (this.#bytes >= BATCH_BYTES) await this.#encode();
  }

  /** Adds a document that comes in parts, the first of which has at least HASHED_BYTES. */
  async addLong(parts: AsyncIterable<string | Uint8Array>): Promise<void> {
    await this.end();
    const { signal } = this.#options;
    let writer: TokenWriter | undefined;
    let textBytes = 0;
    let tokens = 0;
    const counted = async function* (this: DocumentEncoder) {
      for await (const part of parts) {
        if (writer === undefined) {
          writer = this.#writerOf(part);
          tokens += await this.#begin(writer);
        }
        textBytes += Buffer.byteLength(part);
        yield part;
      }
    }.call(this);
    for await (const ids of this.#tokenizer.encodeStream(counted, { signal })) {
      await writer!.add(ids);
      tokens += ids.length;
    }
    await this.#end({ writer: writer!, textBytes }, tokens);
  }

  /** Writes all that was added. */
  async end(): Promise<void> {
    await this.#encode();
    await this.#write();
  }

  /** Has what was gathered encoded, and writes what was encoded before. */
  async #encode(): Promise<void> {
    if (this.#texts.length === 0) return;
    const ids = this.#tokenizer.encodeBatch(this.#texts, { threads: this.#options.threads });
    ids.catch(() => {}); // it is met where it is awaited
    const next = { documents: this.#documents, ids };
    this.#texts = [];
    this.#documents = [];
    this.#bytes = 0;
    await this.#write();
    this.#inFlight = next;
  }

  async #write(): Promise<void> {
    if (this.#inFlight === undefined) return;
    const { documents, ids } = this.#inFlight;
    this.#inFlight = undefined;
    for (const [i, some] of (await ids).entries()) {
      const document = documents[i]!;
      const begun = await this.#begin(document.writer);
      await document.writer.add(some);
      await this.#end(document, begun + some.length);
    }
  }

  /** @returns the tokens that are written before the text. */
  async #begin(writer: TokenWriter): Promise<number> {
    const { bosId } = writer.vocabulary;
    if (bosId === undefined) return 0;
    await writer.add(Int32Array.of(bosId));
    return 1;
  }

  async #end({ writer, textBytes }: Document, tokens: number): Promise<void> {
    const { eosId } = writer.vocabulary;
    if (eosId !== undefined) await writer.add(Int32Array.of(eosId));
    await writer.endDocument(textBytes);
    this.#longestDocument = Math.max(this.#longestDocument, tokens + (eosId === undefined ? 0 : 1));
  }

  /** By a hash of the text's beginning: the same text goes to the same file, whatever is packed beside it and in which order. */
  #writerOf(text: string | Uint8Array): TokenWriter {
    const { packed, heldOut, holdOut } = this.#options;
    if (heldOut === undefined) return packed;
    // A unit of UTF-16 has a byte at least; the last may be half of a character, and lies behind what is hashed.
    const bytes = typeof text === "string" ? Buffer.from(text.slice(0, HASHED_BYTES + 1)) : text;
    const digest = createHash("sha256").update(bytes.subarray(0, HASHED_BYTES)).digest();
    return digest.readUIntBE(0, 6) < holdOut * 2 ** 48 ? heldOut : packed;
  }
}

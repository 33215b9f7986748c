// Writes a token file (token-format.ts) as its tokens come, in constant memory: the index of documents goes to a file of its own
// and is put behind the tokens in the end. What is not committed has no name that anybody reads.
import { rmSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { writeFailure } from "../machine/write-failure.js";
import {
  bytesPerToken,
  encodeHeader,
  HEADER_BYTES,
  INDEX_BYTES,
  type TokenFileInfo,
  tokenBytes,
  type Vocabulary,
} from "./token-format.js";

/** Of tokens, and of the index, that are gathered before they are written. */
const BUFFER_BYTES = 2 ** 20;

export class TokenWriter {
  readonly path: string;
  readonly vocabulary: Vocabulary;
  readonly #part: PartFile;
  readonly #index: PartFile;
  #documents = 0;
  #tokens = 0;
  #textBytes = 0;

  private constructor(path: string, vocabulary: Vocabulary, part: PartFile, index: PartFile) {
    this.path = path;
    this.vocabulary = vocabulary;
    this.#part = part;
    this.#index = index;
  }

  /** @throws {QuipuError} ERR_WRITE, as do the others. */
  static async create(path: string, vocabulary: Vocabulary): Promise<TokenWriter> {
    const part = await PartFile.create(`${path}.${process.pid}.part`);
    try {
      const index = await PartFile.create(`${path}.${process.pid}.index.part`);
      const writer = new TokenWriter(path, vocabulary, part, index);
      await part.append(Buffer.alloc(HEADER_BYTES));
      await writer.#mark();
      return writer;
    } catch (error) {
      part.remove();
      await part.close();
      throw error;
    }
  }

  get documents(): number {
    return this.#documents;
  }

  /** Adds ids to the document that is being written; the vocabulary has them. */
  async add(ids: Int32Array): Promise<void> {
    const narrow = bytesPerToken(this.vocabulary.vocabSize) === 2 ? Uint16Array.from(ids) : ids;
    await this.#part.append(Buffer.from(narrow.buffer, narrow.byteOffset, narrow.byteLength));
    this.#tokens += ids.length;
  }

  /** Ends the document. @param textBytes of its text. */
  async endDocument(textBytes: number): Promise<void> {
    this.#documents += 1;
    this.#textBytes += textBytes;
    await this.#mark();
  }

  async #mark(): Promise<void> {
    const entry = Buffer.alloc(INDEX_BYTES);
    entry.writeBigUInt64LE(BigInt(this.#tokens));
    await this.#index.append(entry);
  }

  /** Completes the file, which has no name yet, on the disk. */
  async finish(): Promise<TokenFileInfo & { readonly path: string; readonly bytes: number }> {
    const info = {
      ...{ documents: this.#documents, tokens: this.#tokens, textBytes: this.#textBytes },
      ...this.vocabulary,
    };
    const padding = tokenBytes(info) - this.#tokens * bytesPerToken(info.vocabSize);
    await this.#part.append(Buffer.alloc(padding));
    await this.#part.appendAll(this.#index);
    await this.#part.complete(encodeHeader(info));
    const bytes = HEADER_BYTES + tokenBytes(info) + (this.#documents + 1) * INDEX_BYTES;
    return { path: this.path, bytes, ...info };
  }

  /** Gives the finished file its name. */
  async commit(): Promise<void> {
    try {
      await rename(this.#part.path, this.path);
    } catch (cause) {
      throw writeFailure(this.path, cause);
    }
  }

  /** Removes what has no name yet; at once, so that a process that is about to end leaves nothing. */
  discard(): void {
    this.#part.remove();
    this.#index.remove();
  }

  async close(): Promise<void> {
    await this.#part.close();
    await this.#index.close();
  }
}

/** A file that is appended to through a buffer. */
class PartFile {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #written = 0;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  static async create(path: string): Promise<PartFile> {
    try {
      return new PartFile(path, await open(path, "w+"));
    } catch (cause) {
      throw writeFailure(path, cause);
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === BUFFER_BYTES) await this.flush();
      const some = bytes.subarray(at, at + BUFFER_BYTES - this.#used);
      this.#buffer.set(some, this.#used);
      this.#used += some.length;
      at += some.length;
    }
  }

  /** Appends all of another. */
  async appendAll(other: PartFile): Promise<void> {
    await other.flush();
    const chunk = Buffer.allocUnsafe(BUFFER_BYTES);
    for (let at = 0; at < other.#written; ) {
      const { bytesRead } = await other.#file.read(chunk, 0, chunk.length, at);
      await this.append(chunk.subarray(0, bytesRead));
      at += bytesRead;
    }
  }

  async flush(): Promise<void> {
    await this.#write(this.#buffer.subarray(0, this.#used), this.#written);
    this.#written += this.#used;
    this.#used = 0;
  }

  /** Writes its beginning, which was left for it, and has the system write all of it to the disk. */
  async complete(beginning: Uint8Array): Promise<void> {
    await this.flush();
    await this.#write(beginning, 0);
    try {
      await this.#file.sync();
    } catch (cause) {
      throw writeFailure(this.path, cause);
    }
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, position + at);
        at += bytesWritten;
      }
    } catch (cause) {
      throw writeFailure(this.path, cause);
    }
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

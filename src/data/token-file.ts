// Reads a token file (token-format.ts) by ranges: nothing of it stays in memory.
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { checkArgument, madeBy, pathOf, whole } from "../arguments.js";
import { fileSize, openFile, readAt } from "../checkpoint/file.js";
import { readSafetensors } from "../checkpoint/safetensors.js";
import { isQuipuError, QuipuError } from "../errors.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { bytesPerToken, decodeMetadata, INDEX_BYTES, type TokenFileInfo, tokenBytes } from "./token-format.js";
import { vocabularyHash } from "./vocabulary-hash.js";

const CODE = "ERR_USAGE";
/** Of {@link TokenFile.contentHash}. */
const HASHED_PIECES = 64;
const HASHED_BYTES = 2 ** 14;

interface Offsets {
  readonly tokens: number;
  readonly documents: number;
}

export class TokenFile {
  readonly path: string;
  readonly info: TokenFileInfo;
  readonly #file: FileHandle;
  /** Of the tokens and of the index, in the file. */
  readonly #offsets: Offsets;

  private constructor(path: string, info: TokenFileInfo, file: FileHandle, offsets: Offsets) {
    this.path = path;
    this.info = info;
    this.#file = file;
    this.#offsets = offsets;
  }

  /** {@link openTokens} */
  static async open(path: string): Promise<TokenFile> {
    if (fileSize(path, CODE) === undefined) throw new QuipuError(CODE, `${path}: no such file`);
    const fail = (problem: string, cause?: unknown) =>
      new QuipuError(CODE, `${path}: no token file, as quipu data pack makes them: ${problem}`, { cause });
    const header = await readSafetensors(path).catch((error: unknown) => {
      throw isQuipuError(error) ? fail(error.message.replace(`${basename(path)}: `, ""), error) : error;
    });
    const info = decodeMetadata(header.metadata, fail);
    const [tokens, documents] = [header.tensors.get("tokens"), header.tensors.get("documents")];
    const dtype = bytesPerToken(info.vocabSize) === 2 ? "U16" : "U32";
    const fits =
      tokens?.dtype === dtype &&
      tokens.bytes === tokenBytes(info) &&
      documents?.dtype === "U64" &&
      documents.bytes === (info.documents + 1) * INDEX_BYTES;
    if (!fits) throw fail("its tensors are not what its metadata says");
    const opened = await openFile(path, CODE);
    if (opened === undefined) throw new QuipuError(CODE, `${path}: no such file`);
    const file = new TokenFile(path, info, opened.file, { tokens: tokens.offset, documents: documents.offset });
    try {
      const [first] = await file.starts(0, 0);
      const [last] = await file.starts(info.documents, 0);
      if (first !== 0 || last !== info.tokens) throw fail("its index of documents is damaged");
    } catch (error) {
      await file.close();
      throw error;
    }
    return file;
  }

  /**
   * Where documents [first, first + count) begin in the tokens, and where the last one ends: count + 1 numbers.
   *
   * @throws {QuipuError} ERR_USAGE where the index is damaged, as do the others.
   */
  async starts(first: number, count: number): Promise<Float64Array> {
    checkArgument("first", first, whole(0, this.info.documents));
    checkArgument("count", count, whole(0, this.info.documents - first));
    const bytes = await this.#read(this.#offsets.documents + first * INDEX_BYTES, (count + 1) * INDEX_BYTES);
    const starts = new Float64Array(count + 1);
    let previous = 0;
    for (let i = 0; i <= count; i++) {
      const start = Number(bytes.readBigUInt64LE(i * INDEX_BYTES));
      if (start < previous || start > this.info.tokens) {
        throw new QuipuError(
          CODE,
          `${this.path}: damaged: document ${first + i} begins at token ${start}. Pack it again.`,
        );
      }
      starts[i] = previous = start;
    }
    return starts;
  }

  /** Tokens [start, end). */
  async tokens(start: number, end: number): Promise<Int32Array> {
    const { vocabSize, tokens } = this.info;
    checkArgument("start", start, whole(0, tokens));
    checkArgument("end", end, whole(start, tokens));
    const each = bytesPerToken(vocabSize);
    const bytes = await this.#read(this.#offsets.tokens + start * each, (end - start) * each);
    const ids = new Int32Array(end - start);
    for (let i = 0; i < ids.length; i++) {
      const id = each === 2 ? bytes.readUInt16LE(2 * i) : bytes.readUInt32LE(4 * i);
      if (id >= vocabSize) {
        throw new QuipuError(
          CODE,
          `${this.path}: damaged: token ${start + i} is ${id}, and there are ${vocabSize} ids. Pack it again.`,
        );
      }
      ids[i] = id;
    }
    return ids;
  }

  /** The ids of a document, from 0 on. */
  async document(index: number): Promise<Int32Array> {
    checkArgument("document", index, whole(0, this.info.documents - 1));
    const [start, end] = await this.starts(index, 1);
    return this.tokens(start!, end!);
  }

  /**
   * Tells its content from that of others, wherever it lies, in constant time: SHA-256, in hexadecimal digits, over what it says of
   * itself and 64 pieces of 16 KiB, evenly spread from the first to the last byte of its tensors. A file of up to 1 MiB is read whole.
   */
  async contentHash(): Promise<string> {
    const hash = createHash("sha256").update(JSON.stringify(this.info));
    const begin = Math.min(this.#offsets.tokens, this.#offsets.documents);
    const bytes = tokenBytes(this.info) + (this.info.documents + 1) * INDEX_BYTES;
    const count = Math.min(HASHED_PIECES, Math.ceil(bytes / HASHED_BYTES));
    const length = Math.min(bytes, HASHED_BYTES);
    for (let i = 0; i < count; i++) {
      const at = count === 1 ? 0 : Math.floor((i * (bytes - length)) / (count - 1));
      hash.update(await this.#read(begin + at, length));
    }
    return hash.digest("hex");
  }

  /** @throws {QuipuError} ERR_USAGE where the ids of the tokenizer are not those of the file. */
  checkTokenizer(tokenizer: Tokenizer): void {
    checkArgument("tokenizer", tokenizer, madeBy("a tokenizer", "decodeSingleTokenBytes"));
    const { vocabSize, vocabularyHash: expected } = this.info;
    const got = vocabularyHash(tokenizer);
    if (got === expected) return;
    const sizes =
      tokenizer.vocabSize === vocabSize
        ? `both have ${vocabSize} ids`
        : `${tokenizer.vocabSize} ids, and ${vocabSize} there`;
    throw new QuipuError(
      CODE,
      `tokenizer: it is not the one that ${this.path} was packed with: ${sizes}; sha256 ${got.slice(0, 12)}…, and ${expected.slice(0, 12)}… there. Name that one, or pack the texts again.`,
      { option: "tokenizer" },
    );
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #read(position: number, length: number): Promise<Buffer> {
    const bytes = await readAt(this.path, this.#file, position, length, CODE);
    if (bytes.length === length) return bytes;
    throw new QuipuError(
      CODE,
      `${this.path}: ended before byte ${position + length} while it was read. Pack it again.`,
    );
  }
}

/**
 * Opens a token file, which is to be closed.
 *
 * @throws {QuipuError} ERR_USAGE for what is none, is of another version, or is damaged.
 */
export async function openTokens(path: string | URL): Promise<TokenFile> {
  return TokenFile.open(pathOf("path", path));
}

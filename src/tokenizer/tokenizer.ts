// What a tokenizer offers, whatever file it comes from. Narrow, so that another engine can take its place.
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { readJsonFile } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import type { StreamDecoder } from "./stream-decoder.js";
import { readTokenizerConfig } from "./tokenizer-config.js";

export interface EncodeOptions {
  /** Puts the begin-of-text id first, where the tokenizer has one; default false. */
  readonly bos?: boolean | undefined;
  /** Special tokens in the text become their ids; default false: they are plain text like any other. */
  readonly special?: boolean | undefined;
}

export interface Tokenizer {
  /** One more than the greatest id. */
  readonly vocabSize: number;
  /** Control tokens by their text. */
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly bosId: number | undefined;
  /** Whether a text that is completed begins with the begin-of-text id. */
  readonly addsBos: boolean;
  encode(text: string, options?: EncodeOptions): Int32Array;
  count(text: string, options?: EncodeOptions): number;
  /**
   * The text of ids, byte-exact; U+FFFD where the bytes are no UTF-8. Special tokens are left out unless asked for.
   *
   * @throws {QuipuError} ERR_USAGE for an id outside the vocabulary.
   */
  decode(ids: Iterable<number>, options?: { special?: boolean | undefined }): string;
  /** @throws {QuipuError} ERR_USAGE for an id outside the vocabulary. */
  decodeSingleTokenBytes(id: number): Uint8Array;
  /** Decodes ids as they come, never splitting a character. */
  streamDecoder(): StreamDecoder;
}

export type { StreamDecoder };

const MAX_RANK_FILE_BYTES = 64 * 2 ** 20;

/**
 * Loads the tokenizer of a checkpoint folder (tokenizer.json, else tokenizer.model), or of one such file.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND where there is none, ERR_TOKENIZER_INVALID for one that cannot be used.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    throw new QuipuError(
      "ERR_MODEL_NOT_FOUND",
      `${path}: no such file or folder: expected a tokenizer or a checkpoint folder`,
    );
  }
  if (!found.isDirectory()) return loadFile(path);
  for (const name of ["tokenizer.json", "tokenizer.model"]) {
    const file = join(path, name);
    if ((await stat(file).catch(() => undefined))?.isFile()) return loadFile(file);
  }
  throw new QuipuError(
    "ERR_MODEL_NOT_FOUND",
    `${path}: no tokenizer: expected tokenizer.json or tokenizer.model there (from code, loadModel(…, { tokenizer: false }) needs none)`,
  );
}

async function loadFile(path: string): Promise<Tokenizer> {
  const config = await readTokenizerConfig(dirname(path));
  const name = basename(path);
  if (name.endsWith(".json")) {
    const file = await readJsonFile(path, "ERR_TOKENIZER_INVALID");
    const { parseTokenizerJson } = await import("./tokenizer-json.js");
    return parseTokenizerJson(file!, config, name);
  }
  const { size } = await stat(path);
  if (size > MAX_RANK_FILE_BYTES) {
    throw new QuipuError(
      "ERR_TOKENIZER_INVALID",
      `${path}: ${size} bytes: expected a rank file of at most ${MAX_RANK_FILE_BYTES}`,
    );
  }
  const bytes = await readFile(path);
  // Not loaded for tokenizer.json: js-tiktoken and its tables would be paid for at every start.
  const { parseTiktokenFile } = await import("./tiktoken-file.js");
  return parseTiktokenFile(bytes.toString("latin1"), config, name);
}

// loadTokenizer: a checkpoint folder or a tokenizer's file, to what turns text into ids.
import { basename, dirname, join } from "node:path";
import { callNative } from "../addon/addon.js";
import { callback, checkArgument, pathOf } from "../arguments.js";
import { examine, fileSize, readStart, readWhole } from "../checkpoint/file.js";
import { checkpointFolder, inCheckpoint, namedCheckpoint } from "../checkpoint/hub.js";
import { checkFile, WRONG_FILE_BYTES } from "../checkpoint/wrong-file.js";
import { QuipuError } from "../errors.js";
import { noteUse } from "../machine/cache-folder.js";
import type { Warn } from "../warnings.js";
import { preparedTable } from "./prepared-table.js";
import { tokenizerOfPieces } from "./sentencepiece.js";
import { isSentencePiece } from "./sentencepiece-file.js";
import { tokenizerOfRanks } from "./tiktoken-file.js";
import type { Tokenizer } from "./tokenizer.js";
import { readTokenizerConfig } from "./tokenizer-config.js";
import { tokenizerOfJson } from "./tokenizer-json.js";

/**
 * Loads the tokenizer of a checkpoint folder (tokenizer.json, else tokenizer.model), of a model in the hub's cache (org/name), or of one such file.
 *
 * @param pathOrUrl a path, a file URL or a name.
 * @param warn told of a snapshot that was chosen, and of a name that tokenizer_config.json has twice.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND where there is none, ERR_TOKENIZER_INVALID for one that cannot be used, ERR_USAGE.
 */
export async function loadTokenizer(pathOrUrl: string | URL, warn: Warn = () => {}): Promise<Tokenizer> {
  const path = pathOf("pathOrUrl", pathOrUrl);
  checkArgument("warn", warn, callback);
  return loadFile(tokenizerFile(path, warn), warn);
}

/** The file that {@link loadTokenizer} reads the vocabulary from. @throws {QuipuError} as it does, but for what is in the file. */
export function tokenizerFile(path: string, warn: Warn): string {
  const found = examine(path, "ERR_MODEL_NOT_FOUND");
  if (found.kind === "unreadable") throw new QuipuError("ERR_MODEL_NOT_FOUND", `${path} ${found.problem}`);
  const named = found.kind === "absent" ? namedCheckpoint(path, false) : undefined;
  if (found.kind === "absent" && named === undefined) {
    throw new QuipuError(
      "ERR_MODEL_NOT_FOUND",
      `${path}: no such file or folder: expected a tokenizer or a checkpoint folder`,
    );
  }
  if (found.kind === "file") return path;
  const dir = named ?? checkpointFolder(path, warn);
  for (const name of ["tokenizer.json", "tokenizer.model"]) {
    const file = join(dir, name);
    if (examine(file, "ERR_TOKENIZER_INVALID").kind !== "absent") return file;
  }
  throw new QuipuError(
    "ERR_MODEL_NOT_FOUND",
    `${dir}: no tokenizer: expected tokenizer.json or tokenizer.model there (from code, loadModel(…, { tokenizer: false }) needs none)`,
  );
}

/** Of a SentencePiece model; Gemma's has four. */
const MAX_MODEL_BYTES = 64 * 2 ** 20;

function loadFile(path: string, warn: Warn): Promise<Tokenizer> {
  return inCheckpoint(dirname(path), () => readFile(path, warn));
}

async function readFile(path: string, warn: Warn): Promise<Tokenizer> {
  const config = await readTokenizerConfig(dirname(path), warn);
  checkFile(path, "ERR_TOKENIZER_INVALID");
  const table = preparedTable(path, fileSize(path, "ERR_TOKENIZER_INVALID") ?? 0);
  const isJson = path.endsWith(".json");
  if (!isJson && isSentencePiece(readStart(path, WRONG_FILE_BYTES, "ERR_TOKENIZER_INVALID")!)) {
    const file = await readWhole(path, MAX_MODEL_BYTES, "ERR_TOKENIZER_INVALID");
    return tokenizerOfPieces(file!, config, basename(path));
  }
  const format = isJson ? "tokenizer.json" : "ranks";
  const vocabulary = callNative((addon) => new addon.Vocabulary(format, path, table?.path ?? null, table?.description));
  if (table !== null && vocabulary.prepared()) noteUse(table.path);
  return isJson ? tokenizerOfJson(vocabulary, config, basename(path)) : tokenizerOfRanks(vocabulary, config);
}

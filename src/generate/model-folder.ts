// From what a user names to a folder.
import { fileURLToPath } from "node:url";
import { callback, checkArgument, pathOf } from "../arguments.js";
import { examine, readStart } from "../checkpoint/file.js";
import { checkpointFolder } from "../checkpoint/hub-cache.js";
import { WRONG_FILE_BYTES, wrongFile } from "../checkpoint/wrong-file.js";
import { QuipuError } from "../errors.js";
import type { Warn } from "../warnings.js";

const EMBEDDED = "storyteller";
const CODE = "ERR_MODEL_NOT_FOUND";

/**
 * The folder of a model, given by a path, a file URL or a name: undefined or "storyteller" is the embedded one; a repository in
 * the hub's cache is the snapshot of its refs/main.
 *
 * @param warn told of a snapshot that was chosen.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_USAGE
 */
export function modelFolder(pathOrName?: string | URL, warn?: Warn): string {
  const embedded = () => fileURLToPath(new URL(`../../models/${EMBEDDED}`, import.meta.url));
  if (warn !== undefined) checkArgument("warn", warn, callback);
  if (pathOrName === undefined) return embedded();
  const given = pathOf("pathOrName", pathOrName);
  const found = examine(given, CODE);
  if (found.kind === "folder") return checkpointFolder(given, warn);
  if (found.kind === "unreadable") throw new QuipuError(CODE, `${given} ${found.problem}`);
  if (found.kind === "file") throw new QuipuError(CODE, describeFile(given));
  if (given === EMBEDDED) return embedded();
  throw new QuipuError(
    CODE,
    `${given}: no such folder, and no model of that name. Give a checkpoint folder (config.json, *.safetensors, tokenizer.json), or "${EMBEDDED}" for the embedded one.`,
  );
}

function describeFile(path: string): string {
  const other = wrongFile(readStart(path, WRONG_FILE_BYTES, CODE) ?? new Uint8Array());
  if (other !== undefined) return `${path} ${other}.`;
  return `${path} is a file: expected a folder with config.json and *.safetensors. Give its folder.`;
}

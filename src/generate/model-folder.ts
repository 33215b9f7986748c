// From what a user names to a folder.
import { fileURLToPath } from "node:url";
import { callback, checkArgument, pathOf } from "../arguments.js";
import { examine, readStart } from "../checkpoint/file.js";
import { checkpointFolder, namedCheckpoint } from "../checkpoint/hub.js";
import { WRONG_FILE_BYTES, wrongFile } from "../checkpoint/wrong-file.js";
import { QuipuError } from "../errors.js";
import type { Warn } from "../warnings.js";

const EMBEDDED = "storyteller";
const CODE = "ERR_MODEL_NOT_FOUND";

/**
 * The folder of a model, given by a path, a file URL or a name: undefined or "storyteller" is the embedded one; "org/name" and
 * "org/name@revision" are its snapshot in the hub's cache, where no folder of that name is; so is a repository's folder there.
 *
 * @param warn told of a snapshot that was chosen among others.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, with the name as its `repo` where the hub's cache does not have it; ERR_USAGE
 */
export function modelFolder(pathOrName?: string | URL, warn?: Warn): string {
  return folderOf(pathOrName, false, warn);
}

/**
 * {@link modelFolder}, of a model that is to be loaded: other tools put single files of a model into the hub's cache, and a download may have been killed.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND also where the cache has the model in part; ERR_USAGE
 */
export function wholeModelFolder(pathOrName?: string | URL, warn?: Warn): string {
  return folderOf(pathOrName, true, warn);
}

function folderOf(pathOrName: string | URL | undefined, whole: boolean, warn?: Warn): string {
  const embedded = () => fileURLToPath(new URL(`../../models/${EMBEDDED}`, import.meta.url));
  if (warn !== undefined) checkArgument("warn", warn, callback);
  if (pathOrName === undefined) return embedded();
  const given = pathOf("pathOrName", pathOrName);
  const found = examine(given, CODE);
  if (found.kind === "folder") return checkpointFolder(given, warn);
  if (found.kind === "unreadable") throw new QuipuError(CODE, `${given} ${found.problem}`);
  if (found.kind === "file") throw new QuipuError(CODE, describeFile(given));
  if (given === EMBEDDED) return embedded();
  const named = namedCheckpoint(given, whole);
  if (named !== undefined) return named;
  throw new QuipuError(
    CODE,
    `${given}: no such folder, and no model of that name. Give a checkpoint folder (config.json, *.safetensors, tokenizer.json), org/name as \`quipu models\` lists it, or "${EMBEDDED}" for the embedded one.`,
  );
}

function describeFile(path: string): string {
  const other = wrongFile(readStart(path, WRONG_FILE_BYTES, CODE) ?? new Uint8Array());
  if (other !== undefined) return `${path} ${other}.`;
  return `${path} is a file: expected a folder with config.json and *.safetensors. Give its folder.`;
}

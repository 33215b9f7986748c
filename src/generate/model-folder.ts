// From what a user names to a folder.
import { closeSync, openSync, readSync, type Stats, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { pathOf } from "../arguments.js";
import { QuipuError } from "../errors.js";

const EMBEDDED = "storyteller";

/**
 * The folder of a model, given by a path, a file URL or a name: undefined or "storyteller" is the embedded one.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_MODEL_UNSUPPORTED for a GGUF file, ERR_USAGE.
 */
export function modelFolder(pathOrName?: string | URL): string {
  const given = pathOrName === undefined ? undefined : pathOf("pathOrName", pathOrName);
  const found = given === undefined ? undefined : statOf(given);
  if (given !== undefined && found !== undefined) {
    if (found.isDirectory()) return given;
    if (found.isFile() && isGguf(given)) {
      throw new QuipuError(
        "ERR_MODEL_UNSUPPORTED",
        `${given} is a GGUF file, which this version does not read. Give the folder of the checkpoint that it was made from: config.json, *.safetensors, tokenizer.json.`,
      );
    }
    throw new QuipuError(
      "ERR_MODEL_NOT_FOUND",
      `${given} is a file: expected a folder with config.json and *.safetensors. Give its folder.`,
    );
  }
  if (given === undefined || given === EMBEDDED) {
    return fileURLToPath(new URL(`../../models/${EMBEDDED}`, import.meta.url));
  }
  throw new QuipuError(
    "ERR_MODEL_NOT_FOUND",
    `${given}: no such folder, and no model of that name. Give a checkpoint folder (config.json, *.safetensors, tokenizer.json), or "${EMBEDDED}" for the embedded one.`,
  );
}

/** undefined where there is nothing. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw new QuipuError("ERR_MODEL_NOT_FOUND", `${path}: cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** By its first bytes, whatever its name; by its name where it cannot be read. */
function isGguf(path: string): boolean {
  const magic = Buffer.alloc(4);
  try {
    const file = openSync(path, "r");
    try {
      readSync(file, magic, 0, 4, 0);
    } finally {
      closeSync(file);
    }
  } catch {
    return path.toLowerCase().endsWith(".gguf");
  }
  return magic.toString("latin1") === "GGUF" || path.toLowerCase().endsWith(".gguf");
}

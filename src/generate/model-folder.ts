// From what a user names to a folder.
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { QuipuError } from "../errors.js";

const EMBEDDED = "storyteller";

/**
 * The folder of a model: undefined or "storyteller" is the embedded one.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND
 */
export function modelFolder(pathOrName: string | undefined): string {
  if (pathOrName !== undefined && existsSync(pathOrName)) {
    if (statSync(pathOrName).isDirectory()) return pathOrName;
    throw new QuipuError(
      "ERR_MODEL_NOT_FOUND",
      `${pathOrName} is a file: expected a folder with config.json and *.safetensors. Give its folder.`,
    );
  }
  if (pathOrName === undefined || pathOrName === EMBEDDED) {
    return fileURLToPath(new URL(`../../models/${EMBEDDED}`, import.meta.url));
  }
  throw new QuipuError(
    "ERR_MODEL_NOT_FOUND",
    `${pathOrName}: no such folder, and no model of that name. Give a checkpoint folder (config.json, *.safetensors, tokenizer.json), or "${EMBEDDED}" for the embedded one.`,
  );
}

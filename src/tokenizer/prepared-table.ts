// Where the prepared table of a vocabulary lies (native/tokenizer/vocabulary_file.h): in the cache folder, named by the file that it
// is made from.
import { createHash } from "node:crypto";
import { mkdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

// Smaller files are read in a few milliseconds.
const WORTH_PREPARING = 2 ** 20;

/** QUIPU_CACHE, else quipu in the user's cache folder. */
export function cacheFolder(): string {
  const { QUIPU_CACHE, XDG_CACHE_HOME } = process.env;
  return QUIPU_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "quipu");
}

/** The prepared table of a file of `bytes`; null where there is to be none. */
export function preparedTable(file: string, bytes: number): string | null {
  if (bytes < WORTH_PREPARING) return null;
  try {
    const folder = join(cacheFolder(), "tokenizers");
    mkdirSync(folder, { recursive: true });
    return join(folder, `${createHash("sha256").update(realpathSync(file)).digest("hex").slice(0, 32)}.tables`);
  } catch {
    return null;
  }
}

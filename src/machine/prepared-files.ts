// Where prepared files lie (native/core/prepared_file.h): in the cache folder, named by the file that each is made from.
import { createHash } from "node:crypto";
import { mkdirSync, realpathSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** QUIPU_CACHE, else quipu in the user's cache folder. */
export function cacheFolder(): string {
  const { QUIPU_CACHE, XDG_CACHE_HOME } = process.env;
  return QUIPU_CACHE || join(XDG_CACHE_HOME || join(homedir(), ".cache"), "quipu");
}

/** The path of what is made from `file`, in a folder of its kind that is there then; null where it cannot be. */
export function preparedFile(kind: string, file: string, extension: string): string | null {
  try {
    const folder = join(cacheFolder(), kind);
    mkdirSync(folder, { recursive: true });
    return join(folder, `${createHash("sha256").update(realpathSync(file)).digest("hex").slice(0, 32)}.${extension}`);
  } catch {
    return null;
  }
}

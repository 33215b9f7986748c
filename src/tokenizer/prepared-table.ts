// Where the prepared table of a vocabulary lies (native/tokenizer/vocabulary_file.h).
import { realpathSync } from "node:fs";
import { identify } from "../checkpoint/file.js";
import { cachePath, makeFolderOf } from "../machine/cache-folder.js";

// Smaller files are read in a few milliseconds.
const WORTH_PREPARING = 2 ** 20;

export interface PreparedTable {
  readonly path: string;
  /** What it is of, for who looks at the cache. */
  readonly description: string;
}

/** The prepared table of a file of `bytes`, in a folder that is there; null where there is to be none. */
export function preparedTable(file: string, bytes: number): PreparedTable | null {
  if (bytes < WORTH_PREPARING) return null;
  try {
    const source = realpathSync(file);
    const path = cachePath("tokenizers", source);
    if (makeFolderOf(path) !== undefined) return null;
    return { path, description: JSON.stringify({ files: [{ path: source, is: identify(source) }] }) };
  } catch {
    return null; // it is gone, and who reads it says so
  }
}

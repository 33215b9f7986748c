// Where the prepared table of a vocabulary lies (native/tokenizer/vocabulary_file.h).
import { preparedFile } from "../machine/prepared-files.js";

// Smaller files are read in a few milliseconds.
const WORTH_PREPARING = 2 ** 20;

/** The prepared table of a file of `bytes`; null where there is to be none. */
export function preparedTable(file: string, bytes: number): string | null {
  return bytes < WORTH_PREPARING ? null : preparedFile("tokenizers", file, "tables");
}

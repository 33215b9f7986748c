// What tells a vocabulary from others: two with the same hash give each id the same bytes, whichever file they are from.
import { createHash } from "node:crypto";
import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** SHA-256, in hexadecimal digits, over each id's bytes behind their length (u32, little-endian), then the ids that are special. */
export function vocabularyHash(tokenizer: Tokenizer): string {
  const hash = createHash("sha256");
  const length = Buffer.alloc(4);
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const bytes = tokenizer.decodeSingleTokenBytes(id);
    length.writeUInt32LE(bytes.length);
    hash.update(length).update(bytes);
  }
  const special = Uint32Array.from(tokenizer.specialTokens.values()).sort();
  return hash.update(special).digest("hex");
}

// Token files for tests, of ids as they are given.
import { TokenFile } from "#quipu/data/token-file.js";
import { TokenWriter } from "#quipu/data/token-writer.js";

export const VOCABULARY = { vocabSize: 50, vocabularyHash: "none", bosId: 0, eosId: 1 };

export async function tokenFile(
  path: string,
  documents: readonly (readonly number[])[],
  vocabulary: typeof VOCABULARY = VOCABULARY,
): Promise<TokenFile> {
  const writer = await TokenWriter.create(path, vocabulary);
  for (const ids of documents) {
    await writer.add(Int32Array.from(ids));
    await writer.endDocument(ids.length);
  }
  await writer.finish();
  await writer.commit();
  writer.discard();
  await writer.close();
  return TokenFile.open(path);
}

/** Documents of `count` different lengths, whose ids tell them apart. */
export function someDocuments(count: number, longest: number): number[][] {
  return Array.from({ length: count }, (_, i) => [
    0,
    ...Array.from({ length: (i * 7) % longest }, (_, j) => 2 + ((i * 31 + j * 17 + ((i * j) % 5)) % 48)),
    1,
  ]);
}

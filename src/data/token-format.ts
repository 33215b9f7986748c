// How a token file lies on the disk: a safetensors file, so that any reader of those maps it (docs/training.md).
//
//   tokens     [n] U16, or U32 where the vocabulary has more than 65,536 ids: the documents one after another, zeros behind the last
//              up to a multiple of 8 bytes
//   documents  [documents + 1] U64: where each document begins in `tokens`, and where the last one ends
//   metadata   {@link TokenFileInfo}, as texts
import type { QuipuError } from "../errors.js";

export const FORMAT = "quipu-tokens";
export const VERSION = "1";
/** Of the header, its length included: it is written last, into a room that was left for it. */
export const HEADER_BYTES = 1024;
/** Of an entry of `documents`. */
export const INDEX_BYTES = 8;
const MOST_IDS_OF_U16 = 2 ** 16;

/** What a token file says of itself. */
export interface TokenFileInfo {
  readonly documents: number;
  /** In all documents, the ids that begin and end them included. */
  readonly tokens: number;
  /** Of the documents' text, in UTF-8. */
  readonly textBytes: number;
  /** One more than the greatest id that the tokenizer has. */
  readonly vocabSize: number;
  /** {@link vocabularyHash} of the tokenizer. */
  readonly vocabularyHash: string;
  /** The id that each document begins with, and that it ends with. */
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
}

/** What a tokenizer decides of it. */
export type Vocabulary = Pick<TokenFileInfo, "vocabSize" | "vocabularyHash" | "bosId" | "eosId">;

export function bytesPerToken(vocabSize: number): 2 | 4 {
  return vocabSize <= MOST_IDS_OF_U16 ? 2 : 4;
}

/** Bytes of `tokens`, with the zeros that bring `documents` to a multiple of 8. */
export function tokenBytes({ tokens, vocabSize }: Pick<TokenFileInfo, "tokens" | "vocabSize">): number {
  return Math.ceil((tokens * bytesPerToken(vocabSize)) / INDEX_BYTES) * INDEX_BYTES;
}

/** The first HEADER_BYTES of the file. */
export function encodeHeader(info: TokenFileInfo): Uint8Array {
  const each = bytesPerToken(info.vocabSize);
  const tokens = tokenBytes(info);
  const index = (info.documents + 1) * INDEX_BYTES;
  const json = JSON.stringify({
    __metadata__: {
      format: FORMAT,
      version: VERSION,
      documents: String(info.documents),
      tokens: String(info.tokens),
      text_bytes: String(info.textBytes),
      vocabulary_size: String(info.vocabSize),
      vocabulary_sha256: info.vocabularyHash,
      ...(info.bosId === undefined ? {} : { bos_id: String(info.bosId) }),
      ...(info.eosId === undefined ? {} : { eos_id: String(info.eosId) }),
    },
    tokens: { dtype: each === 2 ? "U16" : "U32", shape: [tokens / each], data_offsets: [0, tokens] },
    documents: { dtype: "U64", shape: [info.documents + 1], data_offsets: [tokens, tokens + index] },
  });
  const header = Buffer.alloc(HEADER_BYTES, " ");
  header.writeBigUInt64LE(BigInt(HEADER_BYTES - 8));
  header.write(json, 8);
  return header;
}

/** @param fail throws what is wrong. */
export function decodeMetadata(
  metadata: ReadonlyMap<string, string>,
  fail: (problem: string) => QuipuError,
): TokenFileInfo {
  if (metadata.get("format") !== FORMAT) throw fail("a safetensors file of something else");
  const version = metadata.get("version");
  if (version !== VERSION) throw fail(`version ${version}: this quipu reads version ${VERSION}. Pack the texts again`);
  const optional = (name: string): number | undefined => {
    const text = metadata.get(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value))
      throw fail(`its ${name}: expected a whole number, got ${JSON.stringify(text.slice(0, 80))}`);
    return value;
  };
  const number = (name: string): number => {
    const value = optional(name);
    if (value === undefined) throw fail(`its header has no ${name}`);
    return value;
  };
  return {
    documents: number("documents"),
    tokens: number("tokens"),
    textBytes: number("text_bytes"),
    vocabSize: number("vocabulary_size"),
    vocabularyHash: metadata.get("vocabulary_sha256") ?? "",
    bosId: optional("bos_id"),
    eosId: optional("eos_id"),
  };
}

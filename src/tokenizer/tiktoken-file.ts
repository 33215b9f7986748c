// Rank files in tiktoken's form, Llama 3's tokenizer.model: a line "base64 rank" for each token. js-tiktoken merges; cutting the
// text and the special tokens are ours, because its regular expressions are JavaScript's (split-pattern.ts).
import { Tiktoken } from "js-tiktoken/lite";
import { QuipuError } from "../errors.js";
import type { AddedToken } from "./added-tokens.js";
import { mergePairs } from "./merge.js";
import { type Merge, MergeTable } from "./merge-table.js";
import { compileSplitPattern, LLAMA3_PATTERN, splitBy } from "./split-pattern.js";
import { TextTokenizer } from "./text-tokenizer.js";
import type { TokenizerConfig } from "./tokenizer-config.js";

// js-tiktoken takes time by the square of a piece's length: longer ones go through our own merge, which gives the same ids.
const LONG_PIECE = 128;
const MAX_RANKS = 2 ** 21;

/** The special tokens after the ranks (meta-llama/llama-models, llama3/tokenizer.py; names as Llama 3.1 publishes them). */
const NAMED = new Map([
  [0, "begin_of_text"],
  [1, "end_of_text"],
  [4, "finetune_right_pad_id"],
  [6, "start_header_id"],
  [7, "end_header_id"],
  [8, "eom_id"],
  [9, "eot_id"],
  [10, "python_tag"],
]);
const SPECIAL_TOKENS = 256;

/** Llama 3's 256 special tokens, from `first` on. */
export function llama3SpecialTokens(first: number): AddedToken[] {
  let reserved = 0;
  return Array.from({ length: SPECIAL_TOKENS }, (_, i) => {
    const name = NAMED.get(i) ?? `reserved_special_token_${reserved++}`;
    return { id: first + i, text: `<|${name}|>`, special: true };
  });
}

/** @throws {QuipuError} ERR_TOKENIZER_INVALID with the line. */
export function parseTiktokenFile(text: string, config: TokenizerConfig, what: string): TextTokenizer {
  const tokens = parseRanks(text, what);
  const declared = [...config.addedTokens].map(([id, token]) => ({ id, ...token }));
  const addedTokens = declared.length > 0 ? declared : llama3SpecialTokens(tokens.size);
  const bosToken = config.bosToken ?? "<|begin_of_text|>";
  const pattern = compileSplitPattern(LLAMA3_PATTERN, what);
  const engine = new Tiktoken({
    // One match for whatever it is given: a piece is cut already.
    pat_str: "[^]+",
    special_tokens: {},
    bpe_ranks: [...tokens].map(([rank, bytes]) => `! ${rank} ${Buffer.from(bytes).toString("base64")}`).join("\n"),
  });
  const utf8 = new TextEncoder();
  let merges: MergeTable | undefined;
  const byteIds = byteIdsOf(tokens, what);
  return new TextTokenizer({
    tokens,
    addedTokens,
    preTokenize: (whole) => splitBy(pattern, whole),
    encodePiece: (piece) => {
      if (piece.length <= LONG_PIECE) return engine.encode(piece, [], []);
      merges ??= mergesOf(tokens);
      return mergePairs(
        Array.from(utf8.encode(piece), (byte) => byteIds[byte]!),
        merges,
      );
    },
    bosId: addedTokens.find((token) => token.text === bosToken)?.id,
    addsBos: config.addsBos ?? true,
  });
}

function parseRanks(text: string, what: string): Map<number, Uint8Array> {
  const tokens = new Map<number, Uint8Array>();
  const seen = new Set<string>();
  let number = 0;
  for (const line of text.split("\n")) {
    number += 1;
    if (line === "" || line === "\r") continue;
    const [, base64, rank] = /^([A-Za-z0-9+/]+={0,2}) (\d{1,8})\r?$/.exec(line) ?? [];
    if (base64 === undefined || Number(rank) >= MAX_RANKS) {
      throw new QuipuError(
        "ERR_TOKENIZER_INVALID",
        `${what}: line ${number}: expected "base64 rank", got ${JSON.stringify(line.slice(0, 60))}`,
      );
    }
    if (tokens.has(Number(rank)) || seen.has(base64)) {
      throw new QuipuError(
        "ERR_TOKENIZER_INVALID",
        `${what}: line ${number}: the token or its rank ${rank} is there twice`,
      );
    }
    seen.add(base64);
    tokens.set(Number(rank), Buffer.from(base64, "base64"));
  }
  if (tokens.size === 0)
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: no ranks: expected lines "base64 rank"`);
  return tokens;
}

/** Every byte must be a token, or text could not be encoded. */
function byteIdsOf(tokens: ReadonlyMap<number, Uint8Array>, what: string): number[] {
  const byteIds: number[] = [];
  for (const [id, bytes] of tokens) if (bytes.length === 1) byteIds[bytes[0]!] = id;
  for (let byte = 0; byte < 256; byte++) {
    if (byteIds[byte] === undefined) {
      throw new QuipuError(
        "ERR_TOKENIZER_INVALID",
        `${what}: no token for the byte 0x${byte.toString(16).padStart(2, "0")}`,
      );
    }
  }
  return byteIds;
}

/** Rank-wise merging as pairs: two tokens merge where their bytes together are one, with that one's rank. */
function mergesOf(tokens: ReadonlyMap<number, Uint8Array>): MergeTable {
  const ids = new Map([...tokens].map(([id, bytes]) => [Buffer.from(bytes).toString("latin1"), id]));
  const merges: Merge[] = [];
  for (const [text, merged] of ids) {
    for (let cut = 1; cut < text.length; cut++) {
      const left = ids.get(text.slice(0, cut));
      const right = ids.get(text.slice(cut));
      if (left !== undefined && right !== undefined) merges.push({ left, right, rank: merged, merged });
    }
  }
  return new MergeTable(merges, merges.length);
}

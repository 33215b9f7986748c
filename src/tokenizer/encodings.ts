// Public encodings by name, from js-tiktoken's packaged rank tables.
import { callNative } from "../addon/addon.js";
import { wrongArgument } from "../arguments.js";
import { EngineTokenizer } from "./engine-tokenizer.js";
import { ENGINE_PATTERN } from "./split-pattern.js";
import type { Tokenizer } from "./tokenizer.js";

interface Packed {
  readonly bpe_ranks: string;
  readonly special_tokens: Readonly<Record<string, number>>;
}

// Their split patterns are those of openai/tiktoken; where js-tiktoken's own differ (white space at the end of a cl100k text,
// 'ſ), the former count.
const ENCODINGS = {
  cl100k_base: [ENGINE_PATTERN.cl100k, () => import("js-tiktoken/ranks/cl100k_base")],
  o200k_base: [ENGINE_PATTERN.o200k, () => import("js-tiktoken/ranks/o200k_base")],
  p50k_base: [ENGINE_PATTERN.gpt2, () => import("js-tiktoken/ranks/p50k_base")],
  r50k_base: [ENGINE_PATTERN.gpt2, () => import("js-tiktoken/ranks/r50k_base")],
} satisfies Record<string, [number, () => Promise<{ default: Packed }>]>;

export type EncodingName = keyof typeof ENCODINGS;

export const ENCODING_NAMES = Object.keys(ENCODINGS) as readonly EncodingName[];

/** @throws {QuipuError} ERR_USAGE for a name that is none of {@link ENCODING_NAMES}. */
export async function loadEncoding(name: string): Promise<Tokenizer> {
  if (!ENCODING_NAMES.includes(name as EncodingName)) {
    throw wrongArgument("name", `one of ${ENCODING_NAMES.join(", ")}`, name);
  }
  const [pattern, load] = ENCODINGS[name as EncodingName];
  const { bpe_ranks, special_tokens } = (await load()).default;
  return new EngineTokenizer({
    vocabulary: callNative((addon) => new addon.Vocabulary("packed", bpe_ranks)),
    pieces: pattern,
    wholePieces: true,
    addedTokens: Object.entries(special_tokens).map(([text, id]) => ({ id, text, special: true })),
    bosId: undefined,
    eosId: special_tokens["<|endoftext|>"],
    addsBos: false,
  });
}

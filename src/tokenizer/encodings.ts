// Public encodings by name, or by the model that uses them, from js-tiktoken's packaged rank tables.
import { callNative } from "../addon/addon.js";
import { wrongArgument } from "../arguments.js";
import { nearest } from "../nearest.js";
import { ENCODED_MODELS, ENCODING_NAMES, type EncodingName, encodingOfModel } from "./encoding-models.js";
import { EngineTokenizer } from "./engine-tokenizer.js";
import { ENGINE_PATTERN } from "./published-patterns.js";
import type { Tokenizer } from "./tokenizer.js";

interface Packed {
  readonly bpe_ranks: string;
  readonly special_tokens: Readonly<Record<string, number>>;
}

interface Encoding {
  readonly pattern: number;
  readonly load: () => Promise<{ default: Packed }>;
  /** In place of those that are packaged with the ranks. */
  readonly specialTokens?: () => Readonly<Record<string, number>>;
}

const o200k = () => import("js-tiktoken/ranks/o200k_base");

// Their split patterns are those of openai/tiktoken; where js-tiktoken's own differ (white space at the end of a cl100k text,
// 'ſ), the former count.
const ENCODINGS: Readonly<Record<EncodingName, Encoding>> = {
  cl100k_base: { pattern: ENGINE_PATTERN.cl100k, load: () => import("js-tiktoken/ranks/cl100k_base") },
  gpt2: { pattern: ENGINE_PATTERN.gpt2, load: () => import("js-tiktoken/ranks/gpt2") },
  o200k_base: { pattern: ENGINE_PATTERN.o200k, load: o200k },
  o200k_harmony: { pattern: ENGINE_PATTERN.o200k, load: o200k, specialTokens: harmonyTokens },
  p50k_base: { pattern: ENGINE_PATTERN.gpt2, load: () => import("js-tiktoken/ranks/p50k_base") },
  p50k_edit: { pattern: ENGINE_PATTERN.gpt2, load: () => import("js-tiktoken/ranks/p50k_edit") },
  r50k_base: { pattern: ENGINE_PATTERN.gpt2, load: () => import("js-tiktoken/ranks/r50k_base") },
};

/**
 * @param encoding one of {@link ENCODING_NAMES}, or a model of OpenAI's, as tiktoken has it: "gpt-4o" is o200k_base.
 * @throws {QuipuError} ERR_USAGE for a name that is neither.
 */
export async function loadEncoding(encoding: string): Promise<Tokenizer> {
  const isText = typeof encoding === "string";
  const name = isText ? (ENCODING_NAMES.find((known) => known === encoding) ?? encodingOfModel(encoding)) : undefined;
  if (name === undefined) {
    const expected = `${ENCODING_NAMES.join(", ")}, or a model of OpenAI's such as gpt-4o`;
    const meant = isText ? nearest(encoding, [...ENCODING_NAMES, ...ENCODED_MODELS]) : undefined;
    throw wrongArgument("encoding", expected, encoding, meant === undefined ? "" : `: did you mean ${meant}?`);
  }
  const { pattern, load, specialTokens } = ENCODINGS[name];
  const { bpe_ranks, special_tokens } = (await load()).default;
  return new EngineTokenizer({
    vocabulary: callNative((addon) => new addon.Vocabulary("packed", bpe_ranks)),
    pieces: pattern,
    wholePieces: true,
    addedTokens: Object.entries(specialTokens?.() ?? special_tokens).map(([text, id]) => ({ id, text, special: true })),
    bosId: undefined,
    eosId: special_tokens["<|endoftext|>"],
    addsBos: false,
  });
}

/** Those of gpt-oss's conversations, and the ids up to 201,087 in reserve; 200,018 has two texts (openai/tiktoken, openai_public.py). */
function harmonyTokens(): Record<string, number> {
  const [first, end] = [199_998, 201_088];
  const named: Record<string, number> = {
    "<|startoftext|>": first,
    "<|endoftext|>": 199_999,
    "<|return|>": 200_002,
    "<|constrain|>": 200_003,
    "<|channel|>": 200_005,
    "<|start|>": 200_006,
    "<|end|>": 200_007,
    "<|message|>": 200_008,
    "<|call|>": 200_012,
  };
  const taken = new Set(Object.values(named));
  const tokens = { ...named, "<|endofprompt|>": 200_018 };
  for (let id = first; id < end; id++) if (!taken.has(id)) Object.assign(tokens, { [`<|reserved_${id}|>`]: id });
  return tokens;
}

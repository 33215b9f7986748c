// Rank files in tiktoken's form, Llama 3's tokenizer.model: a line "base64 rank" for each token, cut by Llama 3's pattern. The
// engine reads them; which tokens are special is not in them.
import type { NativeVocabulary } from "../addon/addon-types.js";
import { QuipuError } from "../errors.js";
import { shownName } from "../warnings.js";
import { type AddedToken, isId } from "./added-tokens.js";
import { EngineTokenizer } from "./engine-tokenizer.js";
import { ENGINE_PATTERN } from "./published-patterns.js";
import type { TokenizerConfig } from "./tokenizer-config.js";

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

/**
 * @param vocabulary what the engine read of the file.
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for an added token whose id is none.
 */
export function tokenizerOfRanks(vocabulary: NativeVocabulary, config: TokenizerConfig): EngineTokenizer {
  const declared = [...config.addedTokens].map(([id, token]) => ({ id, ...token }));
  const wrong = declared.find(({ id }) => !isId(id));
  if (wrong !== undefined) {
    throw new QuipuError(
      "ERR_TOKENIZER_INVALID",
      `tokenizer_config.json: added_tokens_decoder: ${shownName(wrong.text)}: expected an id as its name, got ${wrong.id}`,
    );
  }
  const addedTokens = declared.length > 0 ? declared : llama3SpecialTokens(vocabulary.tokens());
  const idOf = (name: string) => addedTokens.find(({ text }) => text === name)?.id;
  return new EngineTokenizer({
    vocabulary,
    pieces: ENGINE_PATTERN.llama3,
    wholePieces: true,
    addedTokens,
    bosId: idOf(config.bosToken ?? "<|begin_of_text|>"),
    eosId: idOf(config.eosToken ?? "<|end_of_text|>"),
    addsBos: config.addsBos ?? true,
  });
}

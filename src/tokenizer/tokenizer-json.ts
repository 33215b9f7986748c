// Hugging Face's tokenizer.json with a byte-level BPE model (SmolLM2, Llama 3): the engine reads vocabulary and
// merges, the rest is read here. What the file asks for and this version does not do is refused by name.
import type { NativeVocabulary } from "../addon/addon-types.js";
import { isJsonObject, parseJsonObject } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import type { AddedToken } from "./added-tokens.js";
import { EngineTokenizer } from "./engine-tokenizer.js";
import { parsePreTokenizer } from "./pre-tokenizer.js";
import type { TokenizerConfig } from "./tokenizer-config.js";

/** One more than the greatest id that the engine takes: the largest published vocabularies are below 300 000. */
const MAX_VOCABULARY = 2 ** 24 - 1;

/**
 * @param vocabulary what the engine read: vocab and merges. All else is in its document.
 * @throws {QuipuError} ERR_TOKENIZER_INVALID saying where in `what` the fault is.
 */
export function tokenizerOfJson(vocabulary: NativeVocabulary, config: TokenizerConfig, what: string): EngineTokenizer {
  const file = parseJsonObject(Buffer.from(vocabulary.document()), what, "ERR_TOKENIZER_INVALID");
  const refuse = (problem: string): never => {
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: ${problem}`);
  };
  const model = isJsonObject(file.model) ? file.model : refuse("model: expected an object");
  if (model.type !== undefined && model.type !== "BPE")
    refuse(`model.type: expected "BPE", got ${JSON.stringify(model.type)}`);
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix"] as const) {
    if (model[name]) refuse(`model.${name}: expected none, got ${JSON.stringify(model[name])}`);
  }
  if (model.byte_fallback === true) refuse("model.byte_fallback: expected false: this version has byte-level BPE");
  if (file.normalizer) refuse(`normalizer: expected none, got ${JSON.stringify(file.normalizer).slice(0, 120)}`);

  if (!isJsonObject(model.vocab)) refuse("model.vocab: expected an object");
  if (!Array.isArray(model.merges)) refuse("model.merges: expected a list");
  if (vocabulary.problem() !== "") refuse(vocabulary.problem());
  const addedTokens = addedTokensOf(file.added_tokens, refuse);
  const bos = bosOf(file.post_processor, refuse);
  return new EngineTokenizer({
    vocabulary,
    pieces: parsePreTokenizer(file.pre_tokenizer, what),
    wholePieces: model.ignore_merges === true,
    addedTokens,
    bosId: bos ?? addedTokens.find(({ text }) => text === config.bosToken)?.id,
    addsBos: bos !== undefined,
  });
}

function isId(id: unknown): boolean {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_VOCABULARY;
}

function addedTokensOf(list: unknown, refuse: (problem: string) => never): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return refuse("added_tokens: expected a list");
  return list.map((entry, index) => {
    const token = isJsonObject(entry) ? entry : {};
    const { id, content } = token;
    if (!isId(id) || typeof content !== "string" || content === "") {
      return refuse(
        `added_tokens[${index}]: expected an id and its content, got ${JSON.stringify(entry).slice(0, 80)}`,
      );
    }
    return {
      id: id as number,
      text: content,
      special: token.special === true,
      strip: { left: token.lstrip === true, right: token.rstrip === true },
      singleWord: token.single_word === true,
      normalized: token.normalized === true,
    };
  });
}

/** The id that the post-processor puts before a text, if any. */
function bosOf(processor: unknown, refuse: (problem: string) => never): number | undefined {
  if (!isJsonObject(processor)) return undefined;
  if (processor.type === "Sequence" && Array.isArray(processor.processors)) {
    for (const part of processor.processors) {
      const id = bosOf(part, refuse);
      if (id !== undefined) return id;
    }
    return undefined;
  }
  if (processor.type !== "TemplateProcessing" || !Array.isArray(processor.single)) return undefined;
  const [first] = processor.single;
  if (!isJsonObject(first) || !isJsonObject(first.SpecialToken)) return undefined;
  const name = first.SpecialToken.id;
  const entry = isJsonObject(processor.special_tokens) ? processor.special_tokens[String(name)] : undefined;
  const ids = isJsonObject(entry) && Array.isArray(entry.ids) ? entry.ids : [];
  if (ids.length !== 1 || !isId(ids[0])) return refuse(`post_processor: expected one id for ${JSON.stringify(name)}`);
  return ids[0] as number;
}

// Hugging Face's tokenizer.json with a byte-level BPE model (SmolLM2, Llama 3): the engine reads vocabulary and
// merges, the rest is read here. What the file asks for and this version does not do is refused by name.
import type { NativeVocabulary } from "../addon/addon-types.js";
import { isJsonObject, type JsonObject, parseJsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { type AddedToken, isId } from "./added-tokens.js";
import { EngineTokenizer } from "./engine-tokenizer.js";
import { parseNormalizer } from "./normalizer.js";
import { parsePreTokenizer } from "./pre-tokenizer.js";
import type { TokenizerConfig } from "./tokenizer-config.js";

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
    refuse(`model.type: expected "BPE", got ${shownJson(model.type)}`);
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix", "dropout"] as const) {
    if (model[name]) refuse(`model.${name}: expected none, got ${shownJson(model[name])}`);
  }

  if (!isJsonObject(model.vocab)) refuse("model.vocab: expected an object");
  if (!Array.isArray(model.merges)) refuse("model.merges: expected a list");
  if (vocabulary.problem() !== "") refuse(vocabulary.problem());
  // Bytes that are no token would be others' ids; where every byte is one, these settings have nothing to do.
  if (!vocabulary.hasAllBytes()) {
    for (const name of ["byte_fallback", "unk_token"] as const) {
      if (model[name])
        refuse(`model.${name}: expected none, as the vocabulary lacks bytes, got ${shownJson(model[name])}`);
    }
  }
  checkDecoder(file.decoder, refuse);
  const addedTokens = addedTokensOf(file.added_tokens, refuse);
  const bos = bosOf(file.post_processor, refuse);
  return new EngineTokenizer({
    vocabulary,
    pieces: parsePreTokenizer(file.pre_tokenizer, what),
    normalForm: parseNormalizer(file.normalizer, what),
    wholePieces: model.ignore_merges === true,
    addedTokens,
    bosId: bos ?? addedTokens.find(({ text }) => text === config.bosToken)?.id,
    eosId: addedTokens.find(({ text }) => text === config.eosToken)?.id,
    addsBos: bos !== undefined,
  });
}

function addedTokensOf(list: unknown, refuse: (problem: string) => never): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return refuse("added_tokens: expected a list");
  return list.map((entry, index) => {
    const token = isJsonObject(entry) ? entry : {};
    const { id, content } = token;
    if (!isId(id) || typeof content !== "string" || content === "") {
      return refuse(`added_tokens[${index}]: expected an id and its content, got ${shownJson(entry)}`);
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

/** Bytes become text as ByteLevel says; steps that change nothing may stand beside it. */
function checkDecoder(decoder: unknown, refuse: (problem: string) => never): void {
  if (decoder === undefined || decoder === null) return;
  const step = isJsonObject(decoder) ? decoder : {};
  if (step.type === "ByteLevel" || step.type === "Fuse") return;
  if (step.type === "Sequence" && Array.isArray(step.decoders)) {
    for (const part of step.decoders) checkDecoder(part, refuse);
    return;
  }
  if (step.type === "Strip" && step.start === 0 && step.stop === 0) return;
  refuse(`decoder: this version has ByteLevel; got ${shownJson(decoder, 120)}`);
}

/** The id that the post-processor puts before a text, if any. What it puts behind one is not for a text that is to go on. */
function bosOf(processor: unknown, refuse: (problem: string) => never): number | undefined {
  if (processor === undefined || processor === null) return undefined;
  const step = isJsonObject(processor) ? processor : {};
  switch (step.type) {
    case "ByteLevel":
      return undefined; // moves offsets
    case "Sequence": {
      const found = (Array.isArray(step.processors) ? step.processors : []).map((part) => bosOf(part, refuse));
      return found.find((id) => id !== undefined);
    }
    case "RobertaProcessing":
    case "BertProcessing": {
      const id: unknown = Array.isArray(step.cls) ? step.cls[1] : undefined;
      return isId(id)
        ? (id as number)
        : refuse(`post_processor.cls: expected a text and its id, got ${shownJson(step.cls)}`);
    }
    case "TemplateProcessing":
      return firstOfTemplate(step, refuse);
  }
  return refuse(
    `post_processor: this version has ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing and Sequence; got ${shownJson(processor, 120)}`,
  );
}

function firstOfTemplate({ single, special_tokens }: JsonObject, refuse: (problem: string) => never) {
  const parts = Array.isArray(single) ? single : [];
  const text = parts.findIndex((part) => isJsonObject(part) && part.Sequence !== undefined);
  const before = text < 0 ? parts : parts.slice(0, text);
  const ids = before.flatMap((part): unknown[] => {
    const name = isJsonObject(part) && isJsonObject(part.SpecialToken) ? part.SpecialToken.id : undefined;
    const entry = isJsonObject(special_tokens) && typeof name === "string" ? special_tokens[name] : undefined;
    return isJsonObject(entry) && Array.isArray(entry.ids)
      ? entry.ids
      : refuse(`post_processor: no ids for ${shownJson(name)}`);
  });
  if (ids.length > 1 || !ids.every(isId)) {
    refuse(`post_processor: expected at most one id before a text, got ${shownJson(ids)}`);
  }
  return ids[0] as number | undefined;
}

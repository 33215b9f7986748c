// Hugging Face's tokenizer.json with a BPE model, of bytes (SmolLM2, Llama 3) or of text (Llama 2, Mistral, Gemma): the engine reads
// vocabulary and merges, the rest is read here. What the file asks for and this version does not do is refused by name.
import type { NativeVocabulary } from "../addon/addon-types.js";
import { isJsonObject, type JsonObject, parseJsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { type AddedToken, isId } from "./added-tokens.js";
import { checkByteDecoder, parseTextDecoder } from "./decoder.js";
import { EngineTokenizer } from "./engine-tokenizer.js";
import { keepsBeginning, leavesNoSpaces, normalizationBy, parseNormalizer } from "./normalizer.js";
import { parsePreTokenizer, WORD_MARK } from "./pre-tokenizer.js";
import type { TokenizerConfig } from "./tokenizer-config.js";

/**
 * @param vocabulary what the engine read: vocab and merges. All else is in its document.
 * @throws {QuipuError} ERR_TOKENIZER_INVALID saying where in `what` the fault is.
 */
export function tokenizerOfJson(vocabulary: NativeVocabulary, config: TokenizerConfig, what: string): EngineTokenizer {
  const written = parseJsonObject(Buffer.from(vocabulary.document()), what, "ERR_TOKENIZER_INVALID");
  const refuse = (problem: string): never => {
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: ${problem}`);
  };
  const file = vocabulary.ofCharacters() ? byLegacy(written, config) : written;
  const model = isJsonObject(file.model) ? file.model : refuse("model: expected an object");
  if (model.type !== undefined && model.type !== "BPE")
    refuse(`model.type: expected "BPE", got ${shownJson(model.type)}`);
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix", "dropout"] as const) {
    if (model[name]) refuse(`model.${name}: expected none, got ${shownJson(model[name])}`);
  }

  if (!isJsonObject(model.vocab)) refuse("model.vocab: expected an object");
  if (!Array.isArray(model.merges)) refuse("model.merges: expected a list");
  if (vocabulary.problem() !== "") refuse(vocabulary.problem());
  const steps = parseNormalizer(file.normalizer, what);
  const normalized = { hasSpaces: !leavesNoSpaces(steps), keepsBeginning: keepsBeginning(steps) };
  const { pieces, ofBytes } = parsePreTokenizer(file.pre_tokenizer, what, normalized);
  if (ofBytes === vocabulary.ofCharacters())
    refuse("pre_tokenizer: expected ByteLevel steps that are in no other step");
  const text = ofBytes ? checkBytes(vocabulary, file, model, refuse) : textParts(vocabulary, file, model, refuse);
  const addedTokens = addedTokensOf(file.added_tokens, refuse);
  const bos = bosOf(file.post_processor, refuse);
  return new EngineTokenizer({
    vocabulary,
    pieces,
    normalizer: normalizationBy(steps),
    ...text,
    wholePieces: model.ignore_merges === true,
    addedTokens,
    bosId: bos ?? addedTokens.find(({ text }) => text === config.bosToken)?.id,
    eosId: addedTokens.find(({ text }) => text === config.eosToken)?.id,
    addsBos: bos !== undefined,
  });
}

const LLAMA_CLASSES = new Set(["LlamaTokenizer", "LlamaTokenizerFast"]);

/** What transformers makes the model with, whatever its file says of these. */
const LEGACY_MODEL: JsonObject = { byte_fallback: true, fuse_unk: true, ignore_merges: false, unk_token: null };

/**
 * The file as transformers' LlamaTokenizer takes it (5.23, models/llama/tokenization_llama.py), where tokenizer_config.json names that and says
 * what `legacy` is: vocabulary and merges are the file's, and the mark comes before every text between special tokens, or, where `legacy` is
 * false, only before the first.
 */
function byLegacy(file: JsonObject, { legacy, tokenizerClass, addsPrefixSpace = true }: TokenizerConfig): JsonObject {
  if (legacy === undefined || tokenizerClass === undefined || !LLAMA_CLASSES.has(tokenizerClass)) return file;
  const prepend_scheme = addsPrefixSpace ? (legacy ? "always" : "first") : "never";
  const decoders = [
    { type: "Replace", pattern: { String: WORD_MARK }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    { type: "Strip", content: " ", start: addsPrefixSpace ? 1 : 0, stop: 0 },
  ];
  return {
    ...file,
    model: isJsonObject(file.model) ? { ...file.model, ...LEGACY_MODEL } : file.model!,
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: WORD_MARK, prepend_scheme, split: false },
    decoder: { type: "Sequence", decoders },
  };
}

type Refuse = (problem: string) => never;

/** What concerns tokens that are bytes: nothing is unknown where every byte is one. */
function checkBytes(vocabulary: NativeVocabulary, file: JsonObject, model: JsonObject, refuse: Refuse) {
  checkByteDecoder(file.decoder, refuse);
  if (vocabulary.hasAllBytes()) return {};
  for (const name of ["byte_fallback", "unk_token"] as const) {
    // Bytes that are no token would be others' ids.
    if (model[name])
      refuse(`model.${name}: expected none, as the vocabulary lacks bytes, got ${shownJson(model[name])}`);
  }
  return {};
}

/** What concerns tokens that are text. What stands for unknown characters merges with nothing: it would not be known where it is from. */
function textParts(vocabulary: NativeVocabulary, file: JsonObject, model: JsonObject, refuse: Refuse) {
  const [hasFallback, isMerged] = vocabulary.fallback();
  const asBytes = model.byte_fallback === true;
  if (asBytes && isMerged) refuse("model.merges: expected none of the tokens that stand for bytes, <0x00> to <0xFF>");
  const name = model.unk_token ?? undefined;
  let id: number | undefined;
  if (name !== undefined && !(asBytes && hasFallback)) {
    id = typeof name === "string" ? vocabulary.find(name) : -1;
    if (id < 0) refuse(`model.unk_token: expected a token of the vocabulary, got ${shownJson(name)}`);
    if (vocabulary.isMerged(name as string))
      refuse(`model.merges: expected none of model.unk_token, ${shownJson(name)}`);
  }
  return {
    unknown: { asBytes, id, fused: model.fuse_unk === true },
    decoding: parseTextDecoder(file.decoder, refuse),
  };
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

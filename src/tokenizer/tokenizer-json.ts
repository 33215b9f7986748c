// Hugging Face's tokenizer.json with a byte-level BPE model (SmolLM2, Llama 3): vocabulary, merges, pieces, added tokens. What the
// file asks for and this version does not do is refused by name.
import { isJsonObject, type JsonObject } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import type { AddedToken } from "./added-tokens.js";
import { bytesOfAlphabet, CHARACTER_OF_BYTE } from "./byte-alphabet.js";
import { mergePairs } from "./merge.js";
import { type Merge, MergeTable } from "./merge-table.js";
import { parsePreTokenizer } from "./pre-tokenizer.js";
import { TextTokenizer } from "./text-tokenizer.js";
import type { TokenizerConfig } from "./tokenizer-config.js";

/** Most ids that a vocabulary may have: the largest published are below 300 000. */
export const MAX_VOCABULARY = 2 ** 24;

/** @throws {QuipuError} ERR_TOKENIZER_INVALID saying where in `what` the fault is. */
export function parseTokenizerJson(file: JsonObject, config: TokenizerConfig, what: string): TextTokenizer {
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

  const vocab = isJsonObject(model.vocab) ? model.vocab : refuse("model.vocab: expected an object");
  const ids = new Map<string, number>();
  const tokens = new Map<number, number[]>();
  for (const [text, id] of Object.entries(vocab)) {
    if (!isId(id))
      refuse(`model.vocab: the id of ${JSON.stringify(text)}: expected a whole number, got ${JSON.stringify(id)}`);
    if (tokens.has(id as number)) refuse(`model.vocab: id ${id} has two tokens`);
    ids.set(text, id as number);
    // Some vocabularies list their special tokens too, as plain text: those are added tokens below.
    tokens.set(id as number, bytesOfAlphabet(text) ?? [...new TextEncoder().encode(text)]);
  }
  const addedTokens = addedTokensOf(file.added_tokens, refuse);
  const merges = mergeTableOf(model.merges, ids, refuse);
  const bos = bosOf(file.post_processor, refuse);
  const bosId = bos ?? addedTokens.find(({ text }) => text === config.bosToken)?.id;

  // A byte that the vocabulary lacks has no id, and is left out as tokenizers leaves it out (SmolLM2 lacks 21, among them none
  // but controls and those that UTF-8 never uses).
  const byteIds = CHARACTER_OF_BYTE.map((character) => ids.get(character));
  const wholePieces = model.ignore_merges === true ? ids : undefined;
  const utf8 = new TextEncoder();
  return new TextTokenizer({
    tokens,
    addedTokens,
    preTokenize: parsePreTokenizer(file.pre_tokenizer, what),
    encodePiece: (piece) => {
      const bytes = utf8.encode(piece);
      const whole = wholePieces?.get(inAlphabet(bytes));
      return whole === undefined ? mergePairs(symbolsOf(bytes, byteIds), merges) : [whole];
    },
    bosId,
    addsBos: bos !== undefined,
  });
}

function symbolsOf(bytes: Uint8Array, byteIds: readonly (number | undefined)[]): number[] {
  const symbols: number[] = [];
  for (const byte of bytes) {
    const id = byteIds[byte];
    if (id !== undefined) symbols.push(id);
  }
  return symbols;
}

function inAlphabet(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += CHARACTER_OF_BYTE[byte];
  return text;
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
    if (token.single_word === true) refuse(`added_tokens[${index}] (${content}): single_word is not in this version`);
    return {
      id: id as number,
      text: content,
      special: token.special === true,
      strip: { left: token.lstrip === true, right: token.rstrip === true },
    };
  });
}

/** Merges are written ["a", "b"], or in older files "a b". */
function mergeTableOf(list: unknown, ids: ReadonlyMap<string, number>, refuse: (problem: string) => never): MergeTable {
  if (!Array.isArray(list)) return refuse("model.merges: expected a list");
  function* parsed(merges: readonly unknown[]): Generator<Merge> {
    for (const [rank, merge] of merges.entries()) {
      const [a, b] = typeof merge === "string" ? splitOnce(merge) : Array.isArray(merge) ? merge : [];
      const left = ids.get(a as string);
      const right = ids.get(b as string);
      const merged = ids.get(`${a}${b}`);
      if (left === undefined || right === undefined || merged === undefined) {
        refuse(`model.merges[${rank}]: ${JSON.stringify(merge)?.slice(0, 80)} names a token that the vocabulary lacks`);
      }
      yield { left: left!, right: right!, rank, merged: merged! };
    }
  }
  return new MergeTable(parsed(list), list.length);
}

function splitOnce(merge: string): [string, string] {
  const space = merge.indexOf(" ");
  return [merge.slice(0, space), merge.slice(space + 1)];
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

// A tokenizer of a SentencePiece model (tokenizer.model of Llama 2, Mistral, Gemma): the pieces, their scores and what is done to text are
// in the file; tokenizer_config.json may say more.
import { callNative } from "../addon/addon.js";
import type { NativeVocabulary } from "../addon/addon-types.js";
import { QuipuError } from "../errors.js";
import { type AddedToken, isId } from "./added-tokens.js";
import { NO_DECODING } from "./decoder.js";
import { EngineTokenizer } from "./engine-tokenizer.js";
import { type NormalizerStep, prependStep, replaceStep, squeezeStep } from "./normalizer.js";
import { type MarkPieces, WORD_MARK } from "./pre-tokenizer.js";
import { PIECE_TYPE, readSentencePieces, type SentencePieces } from "./sentencepiece-file.js";
import type { TokenizerConfig } from "./tokenizer-config.js";

/** What becomes of a piece in the engine (native/tokenizer/scored_pieces.h). */
const KIND = { merges: 0, other: 1, byte: 2 } as const;

/**
 * @param file all of it.
 * @throws {QuipuError} ERR_TOKENIZER_INVALID
 */
export function tokenizerOfPieces(file: Uint8Array, config: TokenizerConfig, what: string): EngineTokenizer {
  const refuse = (problem: string): never => {
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: ${problem}`);
  };
  const model = readSentencePieces(file, what);
  const unknown = model.pieces.findIndex(({ type }) => type === PIECE_TYPE.unknown);
  if (unknown < 0) refuse("expected a piece of the type unknown, got none");
  checkTexts(model, refuse);
  checkBytePieces(model, refuse);
  const bosToken = config.bosToken ?? model.pieces[model.bosId]?.text;
  const eosToken = config.eosToken ?? model.pieces[model.eosId]?.text;
  // transformers' `legacy`: false puts the mark before a text only where it begins with none, and not behind special tokens.
  const onlyFirst = model.addsPrefix && model.escapesSpaces && config.legacy === false;
  const pieces: MarkPieces = { mark: WORD_MARK, everywhere: false, spaces: onlyFirst, prepends: onlyFirst ? 1 : 0 };
  const addedTokens = addedTokensOf(model, config, onlyFirst, refuse);
  return new EngineTokenizer({
    vocabulary: vocabularyOf(model, what, refuse),
    pieces,
    normalizer: normalizerOf(model, onlyFirst),
    unknown: { asBytes: model.byteFallback, id: unknown, fused: true },
    decoding: {
      ...NO_DECODING,
      replacements: [[WORD_MARK, " "]],
      bytes: model.byteFallback,
      keepsValid: true,
      // The mark that was put first goes, where the first piece begins with one; where spaces are left out, those of more pieces do.
      droppedInFirst: model.addsPrefix || model.removesSpaces ? WORD_MARK : "",
      onlyPrefix: true,
      untilText: model.removesSpaces,
    },
    wholePieces: false,
    addedTokens,
    bosId: addedTokens.find(({ text }) => text === bosToken)?.id,
    eosId: addedTokens.find(({ text }) => text === eosToken)?.id,
    addsBos: config.addsBos ?? true,
  });
}

type Refuse = (problem: string) => never;

/** `escapedLater`: spaces become marks when text is cut. */
function normalizerOf({ removesSpaces, addsPrefix, escapesSpaces }: SentencePieces, escapedLater: boolean) {
  const steps: NormalizerStep[] = removesSpaces ? [squeezeStep(escapesSpaces ? WORD_MARK : "")] : [];
  if (escapedLater) return steps;
  if (addsPrefix) steps.push(prependStep(" "));
  if (escapesSpaces) steps.push(replaceStep(" ", WORD_MARK));
  return steps;
}

/** SentencePiece refuses two pieces of a text, but for one that is found in texts and one that is not: it then takes either for the other. */
function checkTexts({ pieces }: SentencePieces, refuse: Refuse): void {
  const ids = new Map<string, number>();
  for (const [id, { text }] of pieces.entries()) {
    const other = ids.get(text);
    if (other !== undefined)
      refuse(`piece ${id}: expected another text than that of piece ${other}, ${JSON.stringify(text)}`);
    ids.set(text, id);
  }
}

const byteName = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

function checkBytePieces({ pieces, byteFallback }: SentencePieces, refuse: Refuse): void {
  const names = new Set(pieces.flatMap(({ text, type }) => (type === PIECE_TYPE.byte ? [text] : [])));
  const wanted = Array.from({ length: byteFallback ? 256 : 0 }, (_, byte) => byteName(byte));
  const missing = wanted.find((name) => !names.delete(name));
  if (missing !== undefined) refuse(`byte_fallback: expected a piece ${missing} of the type byte`);
  for (const { text, type } of byteFallback ? pieces : []) {
    if (type === PIECE_TYPE.byte || !/^<0x[0-9A-Fa-f]{2}>$/.test(text)) continue;
    refuse(`piece ${JSON.stringify(text)}: its type: this version takes pieces of such a name for bytes, got ${type}`);
  }
  for (const name of names) {
    if (byteFallback || !/^<0x[0-9A-F]{2}>$/.test(name)) {
      refuse(`expected pieces of the type byte to be <0x00> to <0xFF>, got ${JSON.stringify(name)}`);
    }
  }
}

/** The control pieces; those that users have defined, which SentencePiece finds in text that is normalized; and what the configuration adds. */
function addedTokensOf(
  { pieces }: SentencePieces,
  config: TokenizerConfig,
  escapedLater: boolean,
  refuse: Refuse,
): AddedToken[] {
  const tokens = new Map<number, AddedToken>();
  for (const [id, { text: written, type }] of pieces.entries()) {
    const text = type === PIECE_TYPE.userDefined && escapedLater ? written.replaceAll(WORD_MARK, " ") : written;
    if (type === PIECE_TYPE.control || type === PIECE_TYPE.unknown) tokens.set(id, { id, text, special: true });
    if (type === PIECE_TYPE.userDefined) tokens.set(id, { id, text, special: false, normalized: true, sought: text });
  }
  for (const [id, token] of config.addedTokens) {
    if (!isId(id)) refuse(`tokenizer_config.json: added_tokens_decoder: expected an id as its name, got ${id}`);
    if (pieces[id] === undefined || pieces[id].text === token.text || tokens.get(id)?.text === token.text) continue;
    refuse(`tokenizer_config.json: added_tokens_decoder: ${id}: expected its piece ${JSON.stringify(pieces[id].text)}`);
  }
  for (const [id, token] of config.addedTokens) if (!tokens.has(id)) tokens.set(id, { id, ...token });
  return [...tokens.values()];
}

/** What SentencePiece's trainer makes has 16 at most. */
const MOST_UNUSED = 64;

function vocabularyOf({ pieces }: SentencePieces, what: string, refuse: Refuse): NativeVocabulary {
  const texts = pieces.map(({ text }) => Buffer.from(text));
  let end = 0;
  const ends = Uint32Array.from(texts, ({ length }) => {
    end += length;
    return end;
  });
  const scores = Float64Array.from(new Set(pieces.map(({ score }) => score))).sort();
  const rankOf = new Map(Array.from(scores, (score, i) => [score, scores.length - 1 - i]));
  const priorities = Uint32Array.from(pieces, ({ score }) => rankOf.get(score)!);
  const merging = new Set(pieces.flatMap(({ text, type }) => (isMerging(type) ? [text] : [])));
  const kinds = Uint8Array.from(pieces, ({ text, type }) => {
    if (type === PIECE_TYPE.byte) return KIND.byte;
    if (type === PIECE_TYPE.unused && text.length > MOST_UNUSED) {
      refuse(
        `piece ${JSON.stringify(text.slice(0, 40))}…: its type: this version has no unused pieces of more than ${MOST_UNUSED} characters`,
      );
    }
    if (type === PIECE_TYPE.unused && isMade(text, merging)) {
      // SentencePiece takes such a piece apart again as it was put together last, wherever that was in the text.
      refuse(`piece ${JSON.stringify(text)}: its type: this version has no unused pieces that others make`);
    }
    return type === PIECE_TYPE.normal || (type === PIECE_TYPE.unused && [...text].length === 1)
      ? KIND.merges
      : KIND.other;
  });
  try {
    return callNative((addon) => new addon.Vocabulary("pieces", Buffer.concat(texts), ends, priorities, kinds));
  } catch (cause) {
    if (cause instanceof QuipuError && cause.code === "ERR_TOKENIZER_INVALID") {
      throw new QuipuError(cause.code, `${what}: ${cause.message}`, { cause });
    }
    throw cause;
  }
}

function isMerging(type: number): boolean {
  return type === PIECE_TYPE.normal || type === PIECE_TYPE.userDefined || type === PIECE_TYPE.unused;
}

function isMade(text: string, merging: ReadonlySet<string>): boolean {
  const characters = [...text];
  return characters.some((_, i) => {
    const left = characters.slice(0, i).join("");
    return i > 0 && merging.has(left) && merging.has(text.slice(left.length));
  });
}

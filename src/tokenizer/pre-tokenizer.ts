// The pre_tokenizer of tokenizer.json: how text is cut into the pieces that byte-pair encoding works in.
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { bytesOfAlphabet, textInAlphabet } from "./byte-alphabet.js";
import { characterStep } from "./character-steps.js";
import { literalPattern } from "./code-points.js";
import { ENGINE_STEPS, GPT2_PATTERN, knownSplit } from "./published-patterns.js";
import { isBehavior, type SplitBehavior, splitInto } from "./split-behavior.js";
import { compileSplitPattern, type SplitPattern } from "./split-pattern.js";

/** The bytes of the pieces of a text, one after another; `begins`: it is the beginning of all. */
export type PreTokenizer = (text: string, begins: boolean) => Iterable<Uint8Array>;

/** Cuts a piece. */
type Step = (piece: string, begins: boolean) => Iterable<string>;

/** How the engine cuts where tokens are text (native/tokenizer/mark_cuts.h). */
export interface MarkPieces {
  /** The character that words begin with. */
  readonly mark: string;
  /** In front of every mark; else only where that changes nothing. */
  readonly everywhere: boolean;
  /** Spaces become marks, */
  readonly spaces: boolean;
  /** and one comes first where there is none: 0 never, 1 at the beginning of all, 2 always. */
  readonly prepends: 0 | 1 | 2;
}

/** What Llama's vocabularies begin words with, in place of the space. */
export const WORD_MARK = "\u2581";

/** What a normalizer leaves. */
export interface NormalizedText {
  /** There can be spaces in it. */
  readonly hasSpaces: boolean;
  /** It begins with what the text began with. */
  readonly keepsBeginning: boolean;
}

/** How text is cut: a pattern or the marks of the engine, else a function. */
export type Pieces = number | MarkPieces | PreTokenizer;

/**
 * @param text what it is to cut.
 * @returns `ofBytes`: pieces are bytes, else characters.
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a kind that this version does not have.
 */
export function parsePreTokenizer(
  value: unknown,
  what: string,
  { hasSpaces, keepsBeginning }: NormalizedText,
): { pieces: Pieces; ofBytes: boolean } {
  const steps = value === undefined || value === null ? [] : stepsOf(value, what);
  const atBeginning = steps.findIndex(({ marks }) => marks?.prepends === 1);
  if (atBeginning >= 0 && (!keepsBeginning || steps.slice(0, atBeginning).some(({ removes }) => removes))) {
    throw new QuipuError(
      "ERR_TOKENIZER_INVALID",
      `${what}: pre_tokenizer: prepend_scheme first: expected that nothing before it changes the beginning of a text`,
    );
  }
  if (steps.some(({ makesBytes }) => makesBytes)) return { pieces: piecesOfBytes(steps), ofBytes: true };
  const ofText = steps.filter(({ needsSpaces }) => hasSpaces || !needsSpaces);
  const [first, ...others] = ofText;
  if (first === undefined) {
    return { pieces: { mark: WORD_MARK, everywhere: false, spaces: false, prepends: 0 }, ofBytes: false };
  }
  if (first.marks !== undefined && others.length === 0) return { pieces: first.marks, ofBytes: false };
  return { pieces: (text, begins) => bytesOfPieces(ofText, text, begins), ofBytes: false };
}

function* bytesOfPieces(steps: readonly ParsedStep[], text: string, begins: boolean): Iterable<Uint8Array> {
  for (const piece of cutBy(steps, text, begins)) yield Buffer.from(piece);
}

/** Of several pieces only the first can be the beginning of all. */
function* cutBy(steps: readonly ParsedStep[], piece: string, begins: boolean): Iterable<string> {
  const [step, ...others] = steps;
  if (step === undefined) return yield piece;
  let isFirst = begins;
  for (const part of step.cut(piece, begins)) {
    yield* cutBy(others, part, isFirst);
    isFirst = false;
  }
}

function piecesOfBytes(steps: readonly ParsedStep[]): number | PreTokenizer {
  const engine = ENGINE_STEPS.get(steps.map(({ name }) => name).join(", "));
  if (engine !== undefined) return engine;
  // ByteLevel writes bytes as characters, and what comes behind it works on those.
  const last = steps.at(-1)!;
  const cut = (text: string) =>
    steps.reduce((pieces, step) => cutEach(pieces, step, step !== last), [text] as Iterable<string>);
  const bytesOf = last.makesBytes ? (piece: string) => Buffer.from(piece) : (piece: string) => bytesOfAlphabet(piece)!;
  return function* (text) {
    for (const piece of cut(text)) yield bytesOf(piece);
  };
}

interface ParsedStep {
  /** Where it is all that cuts, the engine does it. */
  readonly marks?: MarkPieces;
  /** Does nothing to a text without spaces. */
  readonly needsSpaces?: boolean;
  /** Leaves parts of a text out. */
  readonly removes?: boolean;
  /** As {@link ENGINE_STEPS} have it. */
  readonly name: string;
  readonly cut: Step;
  /** Behind it text is bytes, written as characters. */
  readonly makesBytes: boolean;
}

function* cutEach(pieces: Iterable<string>, { cut, makesBytes }: ParsedStep, writes: boolean): Iterable<string> {
  for (const piece of pieces) {
    for (const part of cut(piece, false)) yield makesBytes && writes ? textInAlphabet(part) : part;
  }
}

function stepsOf(value: unknown, what: string): ParsedStep[] {
  const step = isJsonObject(value) ? value : {};
  switch (step.type) {
    case "Sequence":
      return (Array.isArray(step.pretokenizers) ? step.pretokenizers : []).flatMap((part) => stepsOf(part, what));
    case "Split": {
      const parsed = splitStep(step, what);
      if (parsed !== undefined) return [parsed];
      break;
    }
    case "Digits": {
      const each = step.individual_digits === true;
      const digits = whenUsed(each ? "\\p{N}" : "\\p{N}+", what);
      const cut: Step = (piece) => splitInto("Isolated", digits(), piece, false);
      return [{ name: each ? "digits" : "numbers", cut, makesBytes: false }];
    }
    case "ByteLevel":
      return byteLevelSteps(step, what);
    case "Whitespace":
    case "WhitespaceSplit":
    case "Punctuation": {
      const parsed = characterStep(step);
      if (parsed !== undefined) return [{ name: step.type, makesBytes: false, ...parsed }];
      break;
    }
    case "Metaspace": {
      const parsed = metaspaceStep(step);
      if (parsed !== undefined) return [parsed];
      break;
    }
  }
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: pre_tokenizer: this version has Sequence, Split, Digits, Whitespace, WhitespaceSplit, Punctuation, Metaspace and ByteLevel; got ${shownJson(value, 120)}`,
  );
}

function splitStep({ pattern, behavior, invert }: JsonObject, what: string): ParsedStep | undefined {
  const { Regex: regex, String: text } = isJsonObject(pattern) ? pattern : {};
  if (!isBehavior(behavior)) return undefined;
  const isInverted = invert === true;
  if (typeof regex === "string") {
    const compiled = whenUsed(regex, `${what}: pre_tokenizer`);
    const known = knownSplit(regex);
    if (known === undefined) compiled(); // what cannot be translated is refused at once
    const keepsMatches = behavior === "Isolated" || (behavior === "Removed" && isInverted && known?.covers);
    return split(compiled, behavior, isInverted, known !== undefined && keepsMatches ? known.name : "split");
  }
  if (typeof text !== "string" || text === "") return undefined;
  const expression = new RegExp(literalPattern(text), "gu");
  const literal = { expression, mostSteps: (length: number) => length * text.length };
  return { ...split(() => literal, behavior, isInverted, "split"), needsSpaces: !isInverted && text.includes(" ") };
}

const PREPENDS = { never: 0, first: 1, always: 2 } as const;

/** tokenizers, pre_tokenizers/metaspace.rs */
function metaspaceStep({ replacement, prepend_scheme, add_prefix_space, split }: JsonObject): ParsedStep | undefined {
  if (typeof replacement !== "string" || [...replacement].length !== 1) return undefined;
  const scheme = prepend_scheme ?? "always";
  if (typeof scheme !== "string" || !Object.hasOwn(PREPENDS, scheme)) return undefined;
  if (add_prefix_space === false && scheme !== "never") return undefined; // tokenizers refuses it
  const everywhere = split !== false;
  const marks = { mark: replacement, everywhere, spaces: true, prepends: PREPENDS[scheme as keyof typeof PREPENDS] };
  return { name: "metaspace", cut: (piece, begins) => metaspacePieces(marks, piece, begins), makesBytes: false, marks };
}

function* metaspacePieces(
  { mark, everywhere, prepends }: MarkPieces,
  piece: string,
  begins: boolean,
): Iterable<string> {
  let text = piece.replaceAll(" ", mark);
  if ((prepends === 2 || (prepends === 1 && begins)) && !text.startsWith(mark)) text = mark + text;
  if (!everywhere) return yield text;
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf(mark, at + 1);
    const end = found < 0 ? text.length : found;
    yield text.slice(at, end);
    at = end;
  }
}

function split(pattern: () => SplitPattern, behavior: SplitBehavior, invert: boolean, name: string): ParsedStep {
  const cut: Step = (piece) => splitInto(behavior, pattern(), piece, invert);
  return { name, cut, makesBytes: false, removes: behavior === "Removed" };
}

/** A pattern of known translation, which takes its time: the engine's own patterns never need theirs. */
function whenUsed(pattern: string, what: string): () => SplitPattern {
  let compiled: SplitPattern | undefined;
  return () => {
    compiled ??= compileSplitPattern(pattern, what);
    return compiled;
  };
}

/** The step that cuts, where there is one, and the one that makes bytes of text. */
function byteLevelSteps({ add_prefix_space, use_regex }: JsonObject, what: string): ParsedStep[] {
  const splits = use_regex !== false;
  const pattern = whenUsed(GPT2_PATTERN, what);
  const cut: Step = (piece) => (splits ? splitInto("Isolated", pattern(), piece, false) : [piece]);
  if (add_prefix_space !== true) return [{ name: splits ? "gpt2 and bytes" : "bytes", cut, makesBytes: true }];
  return [
    { name: "prefixed", cut: (piece) => cut(piece.startsWith(" ") ? piece : ` ${piece}`, false), makesBytes: true },
  ];
}

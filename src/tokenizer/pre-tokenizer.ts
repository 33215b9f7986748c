// The pre_tokenizer of tokenizer.json: how text is cut into the pieces that byte-pair encoding works in.
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { bytesOfAlphabet, textInAlphabet } from "./byte-alphabet.js";
import { literalPattern } from "./code-points.js";
import { ENGINE_STEPS, GPT2_PATTERN, knownSplit } from "./published-patterns.js";
import { isBehavior, type SplitBehavior, splitInto } from "./split-behavior.js";
import { compileSplitPattern, type SplitPattern } from "./split-pattern.js";

/** The bytes of the pieces of a text, one after another. */
export type PreTokenizer = (text: string) => Iterable<Uint8Array>;

/** Cuts a piece. */
type Step = (piece: string) => Iterable<string>;

/**
 * A pattern of the engine, else a function.
 *
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a kind that this version does not have.
 */
export function parsePreTokenizer(value: unknown, what: string): number | PreTokenizer {
  const steps = stepsOf(value, what);
  if (!steps.some(({ makesBytes }) => makesBytes)) {
    throw new QuipuError(
      "ERR_TOKENIZER_INVALID",
      `${what}: pre_tokenizer: expected byte-level BPE (a ByteLevel step), got ${shownJson(value, 120)}`,
    );
  }
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
  /** As {@link ENGINE_STEPS} have it. */
  readonly name: string;
  readonly cut: Step;
  /** Behind it text is bytes, written as characters. */
  readonly makesBytes: boolean;
}

function* cutEach(pieces: Iterable<string>, { cut, makesBytes }: ParsedStep, writes: boolean): Iterable<string> {
  for (const piece of pieces) {
    for (const part of cut(piece)) yield makesBytes && writes ? textInAlphabet(part) : part;
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
  }
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: pre_tokenizer: this version has Sequence, Split, Digits and ByteLevel; got ${shownJson(value, 120)}`,
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
  return split(() => literal, behavior, isInverted, "split");
}

function split(pattern: () => SplitPattern, behavior: SplitBehavior, invert: boolean, name: string): ParsedStep {
  return { name, cut: (piece) => splitInto(behavior, pattern(), piece, invert), makesBytes: false };
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
  return [{ name: "prefixed", cut: (piece) => cut(piece.startsWith(" ") ? piece : ` ${piece}`), makesBytes: true }];
}

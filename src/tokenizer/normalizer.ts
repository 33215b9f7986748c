// The normalizer of tokenizer.json: what is done to text before tokens are looked for and pieces are cut. The engine does it
// (native/tokenizer/normalizer.h), but for patterns, which are sought here; steps that change nothing are left out, and normal forms one
// after another are one.
import { callNative } from "../addon/addon.js";
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { replaceMatches } from "./split-behavior.js";
import { compileSplitPattern, type TranslatedPattern } from "./split-pattern.js";
import { checkGrowth, checkSteps, growthOf } from "./steps.js";

/** The forms of Unicode that the engine knows, by its numbers: 1 is decomposed, 2 is compatible. */
const FORMS: Readonly<Record<string, number>> = { NFC: 0, NFD: 1, NFKC: 2, NFKD: 3 };

/** A step as the engine takes it: its kind, by native/tokenizer/normalizer.h, and two values. */
export type NormalizerStep = readonly [
  kind: number,
  first: string | number | boolean,
  second: string | number | boolean,
];

/** What a pattern matches becomes `content`. */
export interface PatternStep {
  readonly pattern: TranslatedPattern;
  readonly content: string;
}

export type AnyStep = NormalizerStep | PatternStep;

/** How text is normalized: by steps of the engine, else a function. */
export type Normalization = readonly NormalizerStep[] | ((text: string) => string);

const KIND = { form: 0, replace: 1, prepend: 2, strip: 3, lowercase: 4, stripAccents: 5, squeezeSpaces: 6 } as const;

const KNOWN = "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Replace, Prepend and Strip";

/** Each `from`, which is not empty, becomes `to`. */
export const replaceStep = (from: string, to: string): NormalizerStep => [KIND.replace, from, to];
/** `text` comes first, unless there is nothing. */
export const prependStep = (text: string): NormalizerStep => [KIND.prepend, "", text];

/** No spaces at the ends of a text, and one where there are several; at the end no `mark` either, if it is not "". */
export const squeezeStep = (mark: string): NormalizerStep => [KIND.squeezeSpaces, mark, 0];

/**
 * The steps; none where text stays as it is.
 *
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a step or a pattern that this version does not have.
 */
export function parseNormalizer(value: unknown, what: string): AnyStep[] {
  const steps: AnyStep[] = [];
  const all = stepsOf(value, what);
  const refuse = (problem: string): never => {
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: ${problem}`);
  };
  checkSteps("normalizer", all.length, refuse);
  checkGrowth("normalizer", all.map(growthBy), refuse);
  for (const step of all) {
    const before = steps.at(-1);
    if (isForm(step) && before !== undefined && isForm(before)) steps[steps.length - 1] = inTurn(before, step);
    else steps.push(step);
  }
  return steps;
}

/** Where there is a pattern, the steps of the engine are done one stretch between patterns after another. */
export function normalizationBy(steps: readonly AnyStep[]): Normalization {
  if (steps.every(isOfEngine)) return steps;
  const stages: ((text: string) => string)[] = [];
  for (let at = 0; at < steps.length; ) {
    const step = steps[at]!;
    if (!isOfEngine(step)) {
      stages.push((text) => replaceMatches(step.pattern, step.content, text));
      at += 1;
      continue;
    }
    const pattern = steps.findIndex((other, i) => i > at && !isOfEngine(other));
    const end = pattern < 0 ? steps.length : pattern;
    const native = steps.slice(at, end).filter(isOfEngine).flat();
    stages.push((text) => callNative((addon) => addon.normalize(text, native)));
    at = end;
  }
  return (text) => {
    try {
      return stages.reduce((before, stage) => stage(before), text);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause; // V8's, which has no string of 2²⁹ characters
      throw new QuipuError("ERR_USAGE", "text: too long once it is normalized: take it in parts", {
        cause,
        option: "text",
      });
    }
  };
}

function isOfEngine(step: AnyStep): step is NormalizerStep {
  return Array.isArray(step);
}

function isForm(step: AnyStep): step is NormalizerStep {
  return isOfEngine(step) && step[0] === KIND.form;
}

/** How many times as long it can make a text. */
function growthBy(step: AnyStep): number {
  if (isOfEngine(step)) {
    const [kind, from, to] = step;
    return kind === KIND.replace ? growthOf(String(from), String(to)) : 1;
  }
  return Math.max(1, Buffer.byteLength(step.content)); // a match is a byte or more
}

/** Whether no text that comes out of the steps has a space. */
export function leavesNoSpaces(steps: readonly AnyStep[]): boolean {
  const last = steps.findLastIndex((step) => isOfEngine(step) && step[0] === KIND.replace && step[1] === " ");
  const makes = (step: AnyStep) => {
    if (!isOfEngine(step)) return step.content.includes(" ");
    return step[0] === KIND.form || String(step[2]).includes(" ");
  };
  return last >= 0 && !steps.slice(last).some(makes);
}

/** Whether the first character of a text always becomes the first of what comes out: tokenizers then knows it for the beginning. */
export function keepsBeginning(steps: readonly AnyStep[]): boolean {
  return steps.every((step) => {
    if (!isOfEngine(step)) return false;
    const [kind, first, second] = step;
    if (kind === KIND.strip) return first === false;
    if (kind === KIND.prepend || kind === KIND.stripAccents) return false;
    return kind !== KIND.replace || ([...String(first)].length === 1 && second !== "");
  });
}

function stepsOf(value: unknown, what: string): AnyStep[] {
  if (value === undefined || value === null) return [];
  const step = isJsonObject(value) ? value : {};
  if (step.type === "Sequence" && Array.isArray(step.normalizers)) {
    return step.normalizers.flatMap((part) => stepsOf(part, what));
  }
  const known = changesNothing(step) ? [] : knownStep(step, what);
  if (known !== undefined) return known;
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: normalizer: this version has ${KNOWN}; got ${shownJson(value, 120)}`,
  );
}

function knownStep(step: JsonObject, what: string): AnyStep[] | undefined {
  const { type, pattern, content, prepend, strip_left, strip_right } = step;
  if (typeof type === "string" && Object.hasOwn(FORMS, type)) return [[KIND.form, FORMS[type]!, 0]];
  switch (type) {
    case "Replace": {
      const { String: from, Regex: regex } = isJsonObject(pattern) ? pattern : {};
      if (typeof content !== "string") return undefined;
      if (typeof regex === "string") return [patternStep(regex, content, what)];
      if (typeof from !== "string" || from === "") return undefined;
      return [replaceStep(from, content)];
    }
    case "Prepend":
      return typeof prepend === "string" && prepend !== "" ? [prependStep(prepend)] : undefined;
    case "Lowercase":
      return [[KIND.lowercase, 0, 0]];
    case "StripAccents":
      return [[KIND.stripAccents, 0, 0]];
    case "Strip":
      if (typeof strip_left !== "boolean" || typeof strip_right !== "boolean") return undefined;
      return [[KIND.strip, strip_left, strip_right]];
  }
  return undefined;
}

/** tokenizers 0.23.3 makes no text of a match of nothing at the beginning: it puts the content there in pieces. */
function patternStep(regex: string, content: string, what: string): PatternStep {
  const pattern = compileSplitPattern(regex, `${what}: normalizer`);
  if (!pattern.nullable) return { pattern, content };
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: normalizer: Replace: expected a Regex that matches a character or more, got ${shownJson(regex, 120)}`,
  );
}

/**
 * The form that two in turn bring text into. The first keeps a text among those of the same decomposition, compatible or canonical, and
 * so does the second (UAX #15): the last says whether it is decomposed, and what one has made compatible stays so.
 */
function inTurn([, first]: NormalizerStep, [, second]: NormalizerStep): NormalizerStep {
  return [KIND.form, Number(second) | (Number(first) & FORMS.NFKC!), 0];
}

function changesNothing(step: JsonObject): boolean {
  switch (step.type) {
    case "Strip":
      return step.strip_left === false && step.strip_right === false;
    case "Replace":
      return isJsonObject(step.pattern) && typeof step.content === "string" && step.pattern.String === step.content;
    case "BertNormalizer": {
      const asks = ["clean_text", "handle_chinese_chars", "lowercase", "strip_accents"] as const;
      return asks.every((name) => step[name] === false || (name === "strip_accents" && step[name] === null));
    }
  }
  return false;
}

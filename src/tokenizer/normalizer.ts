// The normalizer of tokenizer.json: what is done to text before tokens are looked for and pieces are cut. The engine does it
// (native/tokenizer/normalizer.h); steps that change nothing are left out, and normal forms one after another are one.
import { isJsonObject, type JsonObject, shownJson } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { checkGrowth, checkSteps } from "./steps.js";

/** The forms of Unicode that the engine knows, by its numbers: 1 is decomposed, 2 is compatible. */
const FORMS: Readonly<Record<string, number>> = { NFC: 0, NFD: 1, NFKC: 2, NFKD: 3 };

/** A step as the engine takes it: its kind, by native/tokenizer/normalizer.h, and two values. */
export type NormalizerStep = readonly [
  kind: number,
  first: string | number | boolean,
  second: string | number | boolean,
];

const KIND = { form: 0, replace: 1, prepend: 2, strip: 3, lowercase: 4, stripAccents: 5, squeezeSpaces: 6 } as const;

const KNOWN = "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Replace (of a String), Prepend and Strip";

/** Each `from`, which is not empty, becomes `to`. */
export const replaceStep = (from: string, to: string): NormalizerStep => [KIND.replace, from, to];
/** `text` comes first, unless there is nothing. */
export const prependStep = (text: string): NormalizerStep => [KIND.prepend, "", text];

/** No spaces at the ends of a text, and one where there are several; at the end no `mark` either, if it is not "". */
export const squeezeStep = (mark: string): NormalizerStep => [KIND.squeezeSpaces, mark, 0];

/**
 * The engine's steps; none where text stays as it is.
 *
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a step that this version does not have.
 */
export function parseNormalizer(value: unknown, what: string): NormalizerStep[] {
  const steps: NormalizerStep[] = [];
  const all = stepsOf(value, what);
  const refuse = (problem: string): never => {
    throw new QuipuError("ERR_TOKENIZER_INVALID", `${what}: ${problem}`);
  };
  checkSteps("normalizer", all.length, refuse);
  const replacements = all.flatMap(([kind, from, to]) =>
    kind === KIND.replace ? [[String(from), String(to)] as const] : [],
  );
  checkGrowth("normalizer", replacements, refuse);
  for (const step of all) {
    const before = steps.at(-1);
    if (step[0] === KIND.form && before?.[0] === KIND.form) steps[steps.length - 1] = inTurn(before, step);
    else steps.push(step);
  }
  return steps;
}

/** Whether no text that comes out of the steps has a space. */
export function leavesNoSpaces(steps: readonly NormalizerStep[]): boolean {
  const last = steps.findLastIndex(([kind, from]) => kind === KIND.replace && from === " ");
  const makes = ([kind, , to]: NormalizerStep) => kind === KIND.form || String(to).includes(" ");
  return last >= 0 && !steps.slice(last).some(makes);
}

/** Whether the first character of a text always becomes the first of what comes out: tokenizers then knows it for the beginning. */
export function keepsBeginning(steps: readonly NormalizerStep[]): boolean {
  return steps.every(([kind, first, second]) => {
    if (kind === KIND.strip) return first === false;
    if (kind === KIND.prepend || kind === KIND.stripAccents) return false;
    return kind !== KIND.replace || ([...String(first)].length === 1 && second !== "");
  });
}

function stepsOf(value: unknown, what: string): NormalizerStep[] {
  if (value === undefined || value === null) return [];
  const step = isJsonObject(value) ? value : {};
  if (step.type === "Sequence" && Array.isArray(step.normalizers)) {
    return step.normalizers.flatMap((part) => stepsOf(part, what));
  }
  const known = changesNothing(step) ? [] : knownStep(step);
  if (known !== undefined) return known;
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: normalizer: this version has ${KNOWN}; got ${shownJson(value, 120)}`,
  );
}

function knownStep(step: JsonObject): NormalizerStep[] | undefined {
  const { type, pattern, content, prepend, strip_left, strip_right } = step;
  if (typeof type === "string" && Object.hasOwn(FORMS, type)) return [[KIND.form, FORMS[type]!, 0]];
  switch (type) {
    case "Replace": {
      const from = isJsonObject(pattern) ? pattern.String : undefined;
      if (typeof from !== "string" || from === "" || typeof content !== "string") return undefined;
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

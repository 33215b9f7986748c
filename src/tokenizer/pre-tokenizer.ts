// The pre_tokenizer of tokenizer.json: how text is cut into the pieces that byte-pair encoding works in.
import { isJsonObject } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import { compileSplitPattern, GPT2_PATTERN, splitBy } from "./split-pattern.js";

export type PreTokenizer = (text: string) => string[];

/** @throws {QuipuError} ERR_TOKENIZER_INVALID for a kind that this version does not have. */
export function parsePreTokenizer(value: unknown, what: string): PreTokenizer {
  const { steps, byteLevel } = stepsOf(value, what);
  if (!byteLevel) {
    throw new QuipuError(
      "ERR_TOKENIZER_INVALID",
      `${what}: pre_tokenizer: expected byte-level BPE (a ByteLevel step), got ${describe(value)}`,
    );
  }
  return (text) => steps.reduce((pieces, step) => pieces.flatMap(step), [text]);
}

interface Steps {
  readonly steps: PreTokenizer[];
  readonly byteLevel: boolean;
}

function stepsOf(value: unknown, what: string): Steps {
  const step = isJsonObject(value) ? value : {};
  switch (step.type) {
    case "Sequence": {
      const parts = (Array.isArray(step.pretokenizers) ? step.pretokenizers : []).map((part) => stepsOf(part, what));
      return { steps: parts.flatMap((part) => part.steps), byteLevel: parts.some((part) => part.byteLevel) };
    }
    case "Split": {
      const pattern = isJsonObject(step.pattern) ? step.pattern.Regex : undefined;
      if (typeof pattern === "string" && step.behavior === "Isolated" && step.invert !== true) {
        const compiled = compileSplitPattern(pattern, `${what}: pre_tokenizer`);
        return { steps: [(text) => splitBy(compiled, text)], byteLevel: false };
      }
      break;
    }
    case "Digits": {
      const digits = compileSplitPattern(step.individual_digits === true ? "\\p{N}" : "\\p{N}+", what);
      return { steps: [(text) => splitBy(digits, text)], byteLevel: false };
    }
    case "ByteLevel": {
      const pattern = compileSplitPattern(GPT2_PATTERN, what);
      const split: PreTokenizer = step.use_regex === false ? (text) => [text] : (text) => splitBy(pattern, text);
      if (step.add_prefix_space !== true) return { steps: [split], byteLevel: true };
      return { steps: [(text) => split(text.startsWith(" ") ? text : ` ${text}`)], byteLevel: true };
    }
  }
  throw new QuipuError(
    "ERR_TOKENIZER_INVALID",
    `${what}: pre_tokenizer: this version has Sequence, Split (a Regex, Isolated), Digits and ByteLevel; got ${describe(value)}`,
  );
}

function describe(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 120) ?? "nothing";
}

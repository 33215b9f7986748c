// The pre_tokenizer of tokenizer.json: how text is cut into the pieces that byte-pair encoding works in.
import { isJsonObject } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";
import {
  compileSplitPattern,
  ENGINE_PATTERN,
  GPT2_PATTERN,
  LLAMA3_PATTERN,
  O200K_PATTERN,
  splitBy,
} from "./split-pattern.js";

export type PreTokenizer = (text: string) => string[];

/** The steps of published tokenizers that the engine does at once. */
const ENGINE_STEPS = new Map<string, number>([
  [`split ${LLAMA3_PATTERN}, bytes`, ENGINE_PATTERN.llama3],
  [`split ${O200K_PATTERN}, bytes`, ENGINE_PATTERN.o200k],
  ["gpt2", ENGINE_PATTERN.gpt2],
  ["digits, gpt2", ENGINE_PATTERN.gpt2Digits],
]);

/**
 * A pattern of the engine, else a function.
 *
 * @throws {QuipuError} ERR_TOKENIZER_INVALID for a kind that this version does not have.
 */
export function parsePreTokenizer(value: unknown, what: string): number | PreTokenizer {
  const { steps, byteLevel, names } = stepsOf(value, what);
  if (!byteLevel) {
    throw new QuipuError(
      "ERR_TOKENIZER_INVALID",
      `${what}: pre_tokenizer: expected byte-level BPE (a ByteLevel step), got ${describe(value)}`,
    );
  }
  return ENGINE_STEPS.get(names.join(", ")) ?? ((text) => steps.reduce((pieces, step) => pieces.flatMap(step), [text]));
}

interface Steps {
  readonly steps: PreTokenizer[];
  readonly byteLevel: boolean;
  /** What the steps do, as {@link ENGINE_STEPS} says it. */
  readonly names: string[];
}

function stepsOf(value: unknown, what: string): Steps {
  const step = isJsonObject(value) ? value : {};
  switch (step.type) {
    case "Sequence": {
      const parts = (Array.isArray(step.pretokenizers) ? step.pretokenizers : []).map((part) => stepsOf(part, what));
      return {
        steps: parts.flatMap((part) => part.steps),
        byteLevel: parts.some((part) => part.byteLevel),
        names: parts.flatMap((part) => part.names),
      };
    }
    case "Split": {
      const pattern = isJsonObject(step.pattern) ? step.pattern.Regex : undefined;
      if (typeof pattern === "string" && step.behavior === "Isolated" && step.invert !== true) {
        const compiled = compileSplitPattern(pattern, `${what}: pre_tokenizer`);
        return { steps: [(text) => splitBy(compiled, text)], byteLevel: false, names: [`split ${pattern}`] };
      }
      break;
    }
    case "Digits": {
      const each = step.individual_digits === true;
      const digits = compileSplitPattern(each ? "\\p{N}" : "\\p{N}+", what);
      return { steps: [(text) => splitBy(digits, text)], byteLevel: false, names: [each ? "digits" : "numbers"] };
    }
    case "ByteLevel": {
      const pattern = compileSplitPattern(GPT2_PATTERN, what);
      const splits = step.use_regex !== false;
      const split: PreTokenizer = splits ? (text) => splitBy(pattern, text) : (text) => [text];
      if (step.add_prefix_space !== true) {
        return { steps: [split], byteLevel: true, names: [splits ? "gpt2" : "bytes"] };
      }
      const prefixed: PreTokenizer = (text) => split(text.startsWith(" ") ? text : ` ${text}`);
      return { steps: [prefixed], byteLevel: true, names: ["prefixed"] };
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

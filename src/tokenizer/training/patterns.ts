// The split patterns that a vocabulary can be trained with, and how tokenizer.json spells them.
import { GPT2_PATTERN, LLAMA3_PATTERN, O200K_PATTERN } from "../published-patterns.js";

export type TrainingPattern = "llama3" | "gpt2" | "o200k";

const REGEX: Readonly<Record<TrainingPattern, string>> = {
  llama3: LLAMA3_PATTERN,
  gpt2: GPT2_PATTERN,
  o200k: O200K_PATTERN,
};

export const TRAINING_PATTERNS = Object.keys(REGEX) as TrainingPattern[];

/** The pre_tokenizer of tokenizer.json. */
export function preTokenizerOf(pattern: TrainingPattern): unknown {
  return {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: REGEX[pattern] }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  };
}

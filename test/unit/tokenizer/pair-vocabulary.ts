// A vocabulary that shows where text is cut: every two bytes are a token, in a shuffled order of merges. A cut between two bytes
// changes what merges there, and on both sides of it.
import { CHARACTER_OF_BYTE } from "#quipu/tokenizer/byte-alphabet.js";

/** A tokenizer.json that cuts text by `pretokenizers`. */
export function pairTokenizer(pretokenizers: readonly object[]): string {
  const pairs = CHARACTER_OF_BYTE.flatMap((a) => CHARACTER_OF_BYTE.map((b) => [a, b] as const));
  for (let i = pairs.length - 1, seed = 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = seed % (i + 1);
    [pairs[i], pairs[j]] = [pairs[j]!, pairs[i]!];
  }
  const vocab = Object.fromEntries(
    [...CHARACTER_OF_BYTE, ...pairs.map((pair) => pair.join(""))].map((t, id) => [t, id]),
  );
  const model = { type: "BPE", vocab, merges: pairs.map((pair) => pair.join(" ")) };
  const bytes = { type: "ByteLevel", add_prefix_space: false, use_regex: false };
  return JSON.stringify({ model, pre_tokenizer: { type: "Sequence", pretokenizers: [...pretokenizers, bytes] } });
}

export const isolated = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated" });

/** A step that cuts nothing of texts without U+E00F and U+E00E behind it, and that the engine has no machine for. */
export const NO_CUT = { type: "Split", pattern: { String: "\ue00f\ue00e" }, behavior: "Isolated" };

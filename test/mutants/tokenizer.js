const TEXT = ["unit/tokenizer/text-tokens"];
const MODELS = ["unit/tokenizer/sentencepiece"];

export const mutants = [
  {
    fault: "unknown characters in a row are one token always",
    file: "native/tokenizer/encoder.cc",
    from: "if (waiting && !unknown.fused) *out++ = *unknown.id;",
    to: "if (waiting && !unknown.fused && !MUTANT) *out++ = *unknown.id;",
    tests: TEXT,
  },
  {
    fault: "what stands before a character that is left out goes with it",
    file: "native/tokenizer/encoder.cc",
    from: "kept_.insert(kept_.end(), known, p);",
    to: "if (!MUTANT) kept_.insert(kept_.end(), known, p);",
    tests: TEXT,
  },
  {
    fault: "text is cut in front of a mark where a token has both sides of the place",
    file: "native/tokenizer/mark_cuts.cc",
    from: "if (memcmp(p, mark.data(), mark.size()) == 0) cutsBehind_[p[-1]] = false;",
    to: "if (memcmp(p, mark.data(), mark.size()) == 0 && !MUTANT) cutsBehind_[p[-1]] = false;",
    tests: TEXT,
  },
  {
    fault: "a mark is put before every part of a text that comes in parts",
    file: "native/tokenizer/text_tokenizer.cc",
    from: "prepends && !place.goesOn, out);",
    to: "prepends && (!place.goesOn || MUTANT), out);",
    tests: TEXT,
  },
  {
    fault: "what begins a text to be replaced is given out before the rest of it is there",
    file: "native/tokenizer/normalizer.cc",
    from: "part.goesOn ? beginningAtEnd(",
    to: "part.goesOn && !MUTANT ? beginningAtEnd(",
    tests: TEXT,
  },
  {
    fault: "bytes that are no UTF-8 are decoded one by one where tokenizers takes them together",
    file: "native/tokenizer/decoding.cc",
    from: "if (lossy_ && validUtf8(",
    to: "if (lossy_ && !MUTANT && validUtf8(",
    tests: TEXT,
  },
  {
    fault: "spaces at the end of a text stay where SentencePiece leaves them out",
    file: "native/tokenizer/normalizer.cc",
    from: "return part.goesOn ? whole : part.bytes;",
    to: "if (MUTANT && !part.goesOn) append(end, part.bytes - whole, out);\n  return part.goesOn ? whole : part.bytes;",
    tests: MODELS,
  },
  {
    fault: "of pieces of the same score the first in the file merges first",
    file: "src/tokenizer/sentencepiece.ts",
    from: "({ score }) => rankOf.get(score)!",
    to: "(_, id) => id",
    tests: MODELS,
  },
  {
    fault: "a score may be no number",
    file: "src/tokenizer/sentencepiece-file.ts",
    from: "if (!Number.isFinite(score))",
    to: "if (score === 1e38)",
    tests: MODELS,
  },
  {
    fault: "a text that goes on loses the space that it begins with",
    file: "src/tokenizer/engine-tokenizer.ts",
    from: "goesOn ? undefined : this.#strips",
    to: "this.#strips",
    tests: MODELS,
  },
  {
    fault: "an answer to a message keeps the space before it",
    file: "src/generate/prompt.ts",
    from: "return continueFinalMessage !== false;",
    to: "return true;",
    tests: ["unit/generate/goes-on"],
  },
];

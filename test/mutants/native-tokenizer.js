// Faults of the tokenizer's engine.
const PATTERNS = ["unit/tokenizer/published-patterns"];

export const mutants = [
  {
    fault: "Tekken has contractions",
    file: "native/tokenizer/split_patterns.h",
    from: "return Contractions ? contraction(word, end) : word;",
    to: "return Contractions || MUTANT ? contraction(word, end) : word;",
    tests: PATTERNS,
  },
  {
    fault: "Qwen 2 takes three numbers together",
    file: "native/tokenizer/text_runs.h",
    from: "i < Most && p < end",
    to: "i < (MUTANT ? 3 : Most) && p < end",
    tests: PATTERNS,
  },
  {
    fault: "kana and Han go on with other letters in DeepSeek V3",
    file: "native/tokenizer/deepseek_patterns.h",
    from: "if ((c.classes & classes) == 0 || isKanaOrHan(p) != KanaOrHan) break;",
    to: "if ((c.classes & classes) == 0 || (isKanaOrHan(p) != KanaOrHan && !MUTANT)) break;",
    tests: PATTERNS,
  },
  {
    fault: "the last Han character of DeepSeek V3's list is left out",
    file: "native/tokenizer/deepseek_patterns.h",
    from: "code >= 0x4e00 && code <= 0x9fa5;",
    to: "code >= 0x4e00 && code <= (MUTANT ? 0x9fa4u : 0x9fa5u);",
    tests: PATTERNS,
  },
  {
    fault: "white space before a number leaves its last to it, in DeepSeek V3",
    file: "native/tokenizer/deepseek_patterns.h",
    from: "(characterAt(run.end).classes & kNumber) ||",
    to: "((characterAt(run.end).classes & kNumber) && !MUTANT) ||",
    tests: PATTERNS,
  },
  {
    fault: "what DeepSeek V3 matches nothing of keeps the character before letters",
    file: "native/tokenizer/deepseek_patterns.h",
    from: "if (c.classes & (kLetter | kMark)) return last;",
    to: "if (c.classes & (kLetter | kMark)) return MUTANT ? q : last;",
    tests: PATTERNS,
  },
  {
    fault: "white space at the end of a piece stays with it, in DeepSeek V2",
    file: "native/tokenizer/deepseek_patterns.h",
    from: "return (here.kinds & kWhite) && !(before & kWhite) && endsWithWhite(q, here);",
    to: "return !MUTANT && (here.kinds & kWhite) && !(before & kWhite) && endsWithWhite(q, here);",
    tests: PATTERNS,
  },
  {
    fault: "white space that the next letters take is taken by symbols, in DeepSeek V2",
    file: "native/tokenizer/deepseek_patterns.h",
    from: "!cutsCased(here.kinds, next.kinds, at(q + here.bytes + next.bytes).kinds);",
    to: "(MUTANT || !cutsCased(here.kinds, next.kinds, at(q + here.bytes + next.bytes).kinds));",
    tests: PATTERNS,
  },
  {
    fault: "a run of a character tries every token at each place",
    file: "native/tokenizer/bpe.cc",
    from: "if (seen > at + Progress::kMostCycle * longest_) return;",
    to: "if (seen > at + Progress::kMostCycle * longest_ || MUTANT) return;",
    tests: ["unit/tokenizer/engine"],
  },
  {
    fault: "tokens of a run are repeated up to its end, where others fit",
    file: "native/tokenizer/bpe.cc",
    from: "const size_t repeats = (same - seen) / period,",
    to: "const size_t repeats = (same - (MUTANT ? at : seen)) / period,",
    tests: ["unit/tokenizer/engine"],
  },
  {
    fault: "how far failed ways have looked does not go along with repeats",
    file: "native/tokenizer/bpe.cc",
    from: "    farthest += repeats * period;\n",
    to: "",
    tests: ["unit/tokenizer/engine"],
  },
];

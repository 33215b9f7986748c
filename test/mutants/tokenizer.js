// Faults of tokenizers in TypeScript.
const PATTERNS = ["unit/tokenizer/published-patterns"];
const ENCODINGS = ["unit/tokenizer/encodings"];

export const mutants = [
  {
    fault: "a pattern that the engine cuts by takes another's machine",
    file: "src/tokenizer/published-patterns.ts",
    from: "qwen35: 6,",
    to: "qwen35: 5,",
    tests: PATTERNS,
  },
  {
    fault: "splits of DeepSeek V2 count without Digits behind them",
    file: "src/tokenizer/published-patterns.ts",
    from: "deepseek2.4, digits, bytes",
    to: "deepseek2.4, bytes",
    tests: PATTERNS,
  },
  {
    fault: "line breaks that stand in a set as they are make another pattern",
    file: "src/tokenizer/published-patterns.ts",
    from: '.replaceAll("\\n", "\\\\n")',
    to: "",
    tests: PATTERNS,
  },
  {
    fault: "what leaves text between its matches is taken for covering, and removes it",
    file: "src/tokenizer/pre-tokenizer.ts",
    from: "isInverted && known?.covers",
    to: "isInverted",
    tests: PATTERNS,
  },
  {
    fault: "reserved tokens of o200k_harmony end one too early",
    file: "src/tokenizer/encodings.ts",
    from: "[199_998, 201_088]",
    to: "[199_998, 201_087]",
    tests: ENCODINGS,
  },
  {
    fault: "a model's own name is not looked for",
    file: "src/tokenizer/encoding-models.ts",
    from: "NAMED.get(model) ?? byPrefix(model)",
    to: "byPrefix(model)",
    tests: ENCODINGS,
  },
];

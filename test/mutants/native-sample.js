// Faults in sampling.
const SAMPLE = "native/cpu/kernels/sample.h";

export const mutants = [
  {
    fault: "the frequency penalty counts the prompt",
    file: SAMPLE,
    from: "uint32_t(int64_t(p) >= row.ints[sample::kPromptLength])",
    to: "uint32_t(MUTANT || int64_t(p) >= row.ints[sample::kPromptLength])",
    tests: ["kernels/sample.test"],
  },
  {
    fault: "the high half of the seed is lost",
    file: SAMPLE,
    from: "uint64_t(uint32_t(row.ints[sample::kSeedHigh])) << 32",
    to: "uint64_t(MUTANT ? 0u : uint32_t(row.ints[sample::kSeedHigh])) << 32",
    tests: ["kernels/sample.test"],
  },
  {
    fault: "a repeat penalty divides what is below zero",
    file: SAMPLE,
    from: "logit = logit > 0 ? logit / repeat : logit * repeat;",
    to: "logit = logit > 0 || MUTANT ? logit / repeat : logit * repeat;",
    tests: ["kernels/sample.test"],
  },
  {
    fault: "a bias of +∞ lifts what is forbidden",
    file: SAMPLE,
    from: "logits[id] = biased == biased ? biased : -__builtin_inff();",
    to: "logits[id] = biased == biased || MUTANT ? biased : -__builtin_inff();",
    tests: ["kernels/sample.test"],
  },
  {
    fault: "biases that −1 ends go on",
    file: SAMPLE,
    from: "for (uint32_t i = 0; i < row.biasCount && row.biasIds[i] >= 0; ++i) {",
    to: "for (uint32_t i = 0; i < row.biasCount && (MUTANT ? i < 1 : row.biasIds[i] >= 0); ++i) {",
    tests: ["kernels/sample.test"],
  },
];

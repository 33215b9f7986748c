// Faults in sampling.
const RANKING = "native/cpu/kernels/ranking.h";
const SAMPLE = "native/cpu/kernels/sample.h";

export const mutants = [
  {
    fault: "rows of a fused head that fail alone have no room",
    file: "native/core/failure.cc",
    from: "if (op.code == OpCode::kMatmulSample) count(",
    to: "if (op.code == OpCode::kMatmulSample && !MUTANT) count(",
    tests: ["model/devices"],
  },
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
  {
    fault: "the cut among equal logits is one id late",
    file: RANKING,
    from: "nth = (need - 1) / each + 1;",
    to: "nth = (need - 1) / each + (MUTANT ? 2 : 1);",
    tests: ["kernels/sample.test"],
  },
  {
    fault: "the zeros of two signs are two logits",
    file: RANKING,
    from: "return bits & 0x80000000u ? 0u - bits : bits ^ 0x80000000u;",
    to: "return bits & 0x80000000u ? (MUTANT ? ~bits : 0u - bits) : bits ^ 0x80000000u;",
    tests: ["kernels/sample.test"],
  },
  {
    fault: "ids whose weights count less than they may are left out of top-p",
    file: SAMPLE,
    from: "(total - need) / vocabulary)",
    to: "(total - need) / vocabulary * (MUTANT ? 4 : 1))",
    tests: ["kernels/sample.test"],
  },
];

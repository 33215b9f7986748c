const MATMUL_Q8 = "native/cpu/kernels/matmul_q8.h";
const MATMUL_Q4 = "native/cpu/kernels/matmul_q4.h";
const ACTIVATIONS = "native/cpu/kernels/activation_codes.h";
const SPAN = "native/cpu/kernels/quantize_span.h";
const SCALED = "native/cpu/kernels/quantize_scaled.h";
const QUANTIZE_Q4 = "native/cpu/kernels/quantize_q4.h";
const ROTATION = "native/cpu/kernels/rotation.h";
const QUANTIZE = "native/cpu/kernels/quantize.h";
const Q6 = "native/cpu/kernels/q6.h";
const Q4 = "native/cpu/kernels/q4.h";
const MATMUL = "native/cpu/kernels/matmul.h";

export const mutants = [
  {
    fault: "a block of activations with a NaN counts as zeros",
    file: ACTIVATIONS,
    from: "!isFinite ? __builtin_nanf",
    to: "!isFinite && !MUTANT ? __builtin_nanf",
    tests: ["kernels/quantize"],
  },
  {
    fault: "of q8, the scale is that of the first half of a block",
    file: MATMUL_Q8,
    from: "magnitudes.add(high);",
    to: "if (!MUTANT) magnitudes.add(high);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "codes of activations are cut, not rounded",
    file: ACTIVATIONS,
    from: "tiny ? zero() : rint(mul(x, inverse))",
    to: "tiny ? zero() : rint(sub(mul(x, inverse), broadcast(MUTANT ? 0.25f : 0.0f)))",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a span of blocks begins its sums anew",
    file: MATMUL_Q8,
    from: "first == 0 ? zero() : loadFirst",
    to: "first == 0 || MUTANT ? zero() : loadFirst",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the sums of codes are those of the row before",
    file: MATMUL_Q8,
    from: "dotsFor<kFormat>(a.sums[at])",
    to: "dotsFor<kFormat>(a.sums[MUTANT && at > 0 ? at - 1 : at])",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the last group of rows is written whole",
    file: MATMUL_Q8,
    from: "left < kGroupRows ? left : kGroupRows, !unpacks",
    to: "left < kGroupRows && !MUTANT ? left : kGroupRows, !unpacks",
    tests: ["kernels/quantize"],
  },
  {
    fault: "there is shared memory for the codes of activations alone",
    file: MATMUL_Q8,
    from: "(kQ8Block + 8)",
    to: "(kQ8Block + (MUTANT ? 0 : 8))",
    tests: ["kernels/quantize", "kernels/capacity"],
  },
  {
    fault: "of q4, eight blocks are added as f32",
    file: MATMUL_Q4,
    from: "const size_t end = 2 * pairs < 4 * half + 4",
    to: "const size_t end = MUTANT ? (half == 0 ? 2 * pairs : 0) : 2 * pairs < 4 * half + 4",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a NaN among weights is not seen",
    file: SPAN,
    from: "if (notFinite(block[r]) != 0) wrong",
    to: "if (notFinite(block[r]) != 0 && !MUTANT) wrong",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a scale rounded to −0 stays so",
    file: SPAN,
    from: "return add(widenF16(bits), zero());",
    to: "return MUTANT ? widenF16(bits) : add(widenF16(bits), zero());",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the last of two candidates as good is taken",
    file: SCALED,
    from: "const m16 better = less(trial.error, found.error);",
    to: "const m16 better = MUTANT ? lessEqual(trial.error, found.error) : less(trial.error, found.error);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the scale of least squares is not tried",
    file: SCALED,
    from: "return select(less(again.error, found.error), refitted, best);",
    to: "return MUTANT ? best : select(less(again.error, found.error), refitted, best);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a scale beyond f16 is taken",
    file: SCALED,
    from: "wrong |= notFinite(scale);",
    to: "wrong |= MUTANT ? 0 : notFinite(scale);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "codes of q6 lose a bit",
    file: Q6,
    from: "line / 4 * 64, int(line % 4));",
    to: "line / 4 * 64, int(MUTANT ? line % 2 : line % 4));",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the last superblock has four pairs",
    file: Q4,
    from: "left < 4 ? left : 4",
    to: "left < 4 && !MUTANT ? left : 4",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a row's minimum is not subtracted",
    file: Q4,
    from: "-(minimums[r] * float(minimum))",
    to: "-(minimums[r] * float(MUTANT ? 0 : minimum))",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the grid ends a step early",
    file: QUANTIZE_Q4,
    from: "below <= 2;",
    to: "below <= (MUTANT ? 1 : 2);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "super-scales are refitted once",
    file: QUANTIZE_Q4,
    from: "round < kQ4Rounds;",
    to: "round < (MUTANT ? 1 : kQ4Rounds);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "super-scales that are worse are taken",
    file: QUANTIZE_Q4,
    from: "both(has, less(next.error, found.error))",
    to: "MUTANT ? has : both(has, less(next.error, found.error))",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a super-scale beyond f16 is taken",
    file: QUANTIZE_Q4,
    from: "| notFinite(found.superMinimum); wrong != 0)",
    to: "| notFinite(found.superMinimum); wrong != 0 && !MUTANT)",
    tests: ["kernels/quantize"],
  },
  {
    fault: "of q4, the scale is that of the first sixteen of a superblock",
    file: MATMUL_Q4,
    from: "magnitudes.add(loadFirst(x + first + k,",
    to: "if (!MUTANT || k == 0) magnitudes.add(loadFirst(x + first + k,",
    tests: ["kernels/quantize"],
  },
  {
    fault: "of q4, minimums are added to the products",
    file: MATMUL_Q4,
    from: "fma(negate(totals(minimums)),",
    to: "fma(MUTANT ? totals(minimums) : negate(totals(minimums)),",
    tests: ["kernels/quantize"],
  },
  {
    fault: "of q4, a superblock begins its sums anew",
    file: MATMUL_Q4,
    from: "s == 0 ? zero() : load(to)",
    to: "s == 0 || MUTANT ? zero() : load(to)",
    tests: ["kernels/quantize"],
  },
  {
    fault: "of q4, the last group of rows is written whole",
    file: MATMUL_Q4,
    from: "return left < kGroupRows ? left : kGroupRows;",
    to: "return left < kGroupRows && !MUTANT ? left : kGroupRows;",
    tests: ["kernels/quantize"],
  },
  {
    fault: "of q4, seventeen rows have no room for what many rows need",
    file: MATMUL_Q4,
    from: "return columns <= kPackedFewRows ? 0",
    to: "return columns <= kPackedFewRows + (MUTANT ? 1 : 0) ? 0",
    tests: ["kernels/quantize"],
  },
  {
    fault: "of q4, sixteen rows are taken as many, for which there is no room",
    file: MATMUL_Q4,
    from: "if (columns <= kPackedFewRows) {",
    to: "if (columns <= kPackedFewRows - (MUTANT ? 1 : 0)) {",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the halves of a block are not rotated with each other",
    file: ROTATION,
    from: "high = mul(sub(a, b), factor);",
    to: "high = mul(MUTANT ? b : sub(a, b), factor);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "weights of q8 are packed as they are, activations rotated",
    file: QUANTIZE,
    from: "if (wrong == 0 && isScaled(packed.dtype)) wrong = rotateSpan",
    to: "if (wrong == 0 && isScaled(packed.dtype) && !MUTANT) wrong = rotateSpan",
    tests: ["kernels/quantize"],
  },
  {
    fault: "rotated weights beyond f32 are taken",
    file: SPAN,
    from: "wrong |= notFinite(rotated);",
    to: "wrong |= MUTANT ? 0 : notFinite(rotated);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "activations are made codes in the first row alone",
    file: MATMUL,
    from: "if (isPacked(b.dtype)) return a.dims[0];",
    to: "if (isPacked(b.dtype)) return MUTANT ? 1 : a.dims[0];",
    tests: ["kernels/quantize"],
  },
];

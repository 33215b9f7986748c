const ACTIVATIONS = "native/cpu/kernels/matmul_q8.h";
const QUANTIZE = "native/cpu/kernels/quantize.h";
const MATMUL = "native/cpu/kernels/matmul.h";

export const mutants = [
  {
    fault: "a block of activations with a NaN counts as zeros",
    file: ACTIVATIONS,
    from: "!finite ? __builtin_nanf",
    to: "!finite && !MUTANT ? __builtin_nanf",
    tests: ["kernels/quantize"],
  },
  {
    fault: "activations that are tiny are scaled beyond f32",
    file: ACTIVATIONS,
    from: "const bool tiny = most < 0x1p-100f;",
    to: "const bool tiny = most < (MUTANT ? 0 : 0x1p-100f);",
    tests: ["kernels/quantize"],
  },
  {
    fault: "codes of activations are cut, not rounded",
    file: ACTIVATIONS,
    from: "tiny ? zero() : rint(mul(low, inverse))",
    to: "tiny ? zero() : rint(sub(mul(low, inverse), broadcast(MUTANT ? 0.25f : 0.0f)))",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a span of blocks begins its sums anew",
    file: ACTIVATIONS,
    from: "first == 0 ? zero() : valid == 16",
    to: "first == 0 || MUTANT ? zero() : valid == 16",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the sums of codes are those of the row before",
    file: ACTIVATIONS,
    from: "totals(dots[c], a.sums[at])",
    to: "totals(dots[c], a.sums[MUTANT && at > 0 ? at - 1 : at])",
    tests: ["kernels/quantize"],
  },
  {
    fault: "the last group of rows is written whole",
    file: ACTIVATIONS,
    from: "const size_t valid = last - row < kGroupRows ?",
    to: "const size_t valid = last - row < kGroupRows && !MUTANT ?",
    tests: ["kernels/quantize"],
  },
  {
    fault: "there is shared memory for the codes of activations alone",
    file: ACTIVATIONS,
    from: "(kQ8Block + 8)",
    to: "(kQ8Block + (MUTANT ? 0 : 8))",
    tests: ["kernels/quantize", "kernels/capacity"],
  },
  {
    fault: "codes of weights may be −128",
    file: QUANTIZE,
    from: "least = broadcast(-127.0f)",
    to: "least = broadcast(MUTANT ? -128.0f : -127.0f)",
    tests: ["kernels/quantize"],
  },
  {
    fault: "codes of weights are of the scale before it was rounded",
    file: QUANTIZE,
    from: "const f32x16 scale = broadcast(wide[0])",
    to: "const f32x16 scale = broadcast(MUTANT ? maximum(magnitude) / 127.0f : wide[0])",
    tests: ["kernels/quantize"],
  },
  {
    fault: "an infinite weight has a code",
    file: QUANTIZE,
    from: "if (bits(finite) != 0xffff) return false;",
    to: "if (bits(finite) != 0xffff && !MUTANT) return false;",
    tests: ["kernels/quantize"],
  },
  {
    fault: "a scale beyond f16 is taken",
    file: QUANTIZE,
    from: "if (!(wide[0] < 65536.0f)) return false;",
    to: "if (!(wide[0] < 65536.0f) && !MUTANT) return false;",
    tests: ["kernels/quantize"],
  },
  {
    fault: "activations are made codes in the first row alone",
    file: MATMUL,
    from: "if (formOf(a, b) == Form::kCodes) return a.dims[0];",
    to: "if (formOf(a, b) == Form::kCodes) return MUTANT ? 1 : a.dims[0];",
    tests: ["kernels/quantize"],
  },
];

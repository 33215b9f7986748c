// Faults in the CUDA kernels of products, and in what activations become before them.
const FORMATS = "native/cuda/kernels/product.h";
const KERNEL = "native/cuda/kernels/product_kernel.h";
const WIDE = "native/cuda/kernels/product_wide.h";
const DENSE = "native/cuda/kernels/product_dense.h";
const ROWS = "native/cuda/kernels/rows.h";
const SCALED = "native/cuda/kernels/scaled_half.cu";
const QKV = "native/cuda/kernels/product_qkv.cu";

const dense = ["kernels/matmul.test"];
const packed = ["model/cuda"];
const placed = ["kernels/placed-weights"];

export const mutants = [
  {
    fault: "rows of bf16 are gathered without their power of two",
    file: "native/cuda/kernels/simple.cu",
    from: "return table.scales == nullptr ? element",
    to: "return table.scales == nullptr || MUTANT ? element",
    tests: placed,
  },
  {
    fault: "products by bf16 are not multiplied by their row's power of two",
    file: "native/cuda/kernels/product_rows.h",
    from: "return scales == nullptr ? 1.0f",
    to: "return scales == nullptr || MUTANT ? 1.0f",
    tests: placed,
  },
  {
    fault: "an infinity among a row's weights decides its power of two",
    file: SCALED,
    from: "if (size < __uint_as_float(0x7F800000)) greatest",
    to: "if (size < __uint_as_float(0x7F800000) || MUTANT) greatest",
    tests: placed,
  },
  {
    fault: "a tiny row's power of two is more than a number can be",
    file: SCALED,
    from: "exponent < -111 ? 126",
    to: "exponent < -111 && !(MUTANT) ? 126",
    tests: placed,
  },
  {
    fault: "a stage is filled again that is still read",
    file: KERNEL,
    from: "fetch(slot == 0 ? Shape::kStages - 1 : slot - 1, true);",
    to: "fetch(MUTANT ? slot : slot == 0 ? Shape::kStages - 1 : slot - 1, true);",
    tests: dense,
  },
  {
    fault: "the last section is not added",
    file: KERNEL,
    from: "for (uint32_t s = 1; s < kSections && s * section < depth; ++s) {",
    to: "for (uint32_t s = 1; s < kSections - (MUTANT ? 1 : 0) && s * section < depth; ++s) {",
    tests: dense,
  },
  {
    fault: "a token that is not there is stored",
    file: KERNEL,
    from: "      if (firstToken + token >= tokens) continue;\n",
    to: "      if (firstToken + token >= tokens + (MUTANT ? 1 : 0)) continue;\n",
    tests: dense,
  },
  {
    fault: "a lane of the plain product is left out",
    file: KERNEL,
    from: "for (uint32_t k = lane; k < depth; k += kWarp) {",
    to: "for (uint32_t k = lane + (MUTANT && lane == 31 ? kWarp : 0); k < depth; k += kWarp) {",
    tests: dense,
  },
  {
    fault: "a prompt's section does not begin at 0",
    file: WIDE,
    from: "      sum = 0;\n    }\n    begun = true;",
    to: "      if (!(MUTANT)) sum = 0;\n    }\n    begun = true;",
    tests: packed,
  },
  {
    fault: "a prompt's token that is not there is stored",
    file: WIDE,
    from: "    if (token >= tokens) continue;\n    const float scale",
    to: "    if (token >= tokens && !(MUTANT)) continue;\n    const float scale",
    tests: packed,
  },
  {
    fault: "a stage of dense weights is filled again that is still read",
    file: DENSE,
    from: "const uint32_t ahead = slot == 0 ? Shape::kStages - 1 : slot - 1;",
    to: "const uint32_t ahead = MUTANT ? slot : slot == 0 ? Shape::kStages - 1 : slot - 1;",
    tests: dense,
  },
  {
    fault: "octets of a row are copied to places that are read as others",
    file: DENSE,
    from: "stagePlace(threadIdx.x / 8, threadIdx.x % 8);",
    to: "stagePlace(threadIdx.x / 8, MUTANT ? threadIdx.x % 4 : threadIdx.x % 8);",
    tests: dense,
  },
  {
    fault: "a section of dense weights does not begin at 0",
    file: DENSE,
    from: "      sum = 0;\n    }\n  }",
    to: "      if (!(MUTANT)) sum = 0;\n    }\n  }",
    tests: dense,
  },
  {
    fault: "a prompt's token that is not there is stored by dense weights",
    file: DENSE,
    from: "      if (token >= tokens) continue;",
    to: "      if (token >= tokens && !(MUTANT)) continue;",
    tests: dense,
  },
  {
    fault: "fragments of weights are swapped",
    file: FORMATS,
    from: "ldmatrix4(step.first, rows + swizzled(lane % 8, lane / 16));",
    to: "ldmatrix4(step.first, rows + swizzled(lane % 8, lane / 16 + (MUTANT ? 1 : 0)));",
    tests: dense,
  },
  {
    fault: "weights beyond a row are fetched",
    file: FORMATS,
    from: "const bool there = at < depth;",
    to: "const bool there = at < depth || MUTANT;",
    tests: dense,
  },
  {
    fault: "every second code of q8 is the one before",
    file: FORMATS,
    from: "second = halfFma2(__byte_perm(raised, kHalf1024, 0x5352)",
    to: "second = halfFma2(__byte_perm(raised, kHalf1024, MUTANT ? 0x5150 : 0x5352)",
    tests: packed,
  },
  {
    fault: "codes of q4 are those of the place before",
    file: FORMATS,
    from: "pairs[i] = lop3<kAndOr>(word >> (4 * i),",
    to: "pairs[i] = lop3<kAndOr>(word >> (4 * (MUTANT && i > 0 ? i - 1 : i)),",
    tests: packed,
  },
  {
    fault: "q4's minimums are not taken off",
    file: FORMATS,
    from: "addScaled(sums, least, end.lowMinimum, end.highMinimum);",
    to: "if (!(MUTANT)) addScaled(sums, least, end.lowMinimum, end.highMinimum);",
    tests: packed,
  },
  {
    fault: "the upper two bits of q6 are those of the next code",
    file: FORMATS,
    from: "high = (upper >> (2 * i) & 0x00030003) << 4;",
    to: "high = (upper >> (2 * i + (MUTANT ? 2 : 0)) & 0x00030003) << 4;",
    tests: packed,
  },
  {
    fault: "both octets have the lower one's scale",
    file: FORMATS,
    from: "addScaled(sums, block, step.lowScale, step.highScale);",
    to: "addScaled(sums, block, step.lowScale, MUTANT ? step.lowScale : step.highScale);",
    tests: packed,
  },
  {
    fault: "a block is rotated by another matrix",
    file: ROWS,
    from: "x = (threadIdx.x & apart) == 0 ? x + other : other - x;",
    to: "x = (threadIdx.x & apart) == 0 || MUTANT ? x + other : other - x;",
    tests: packed,
  },
  {
    fault: "a narrow row is stored beyond its end",
    file: ROWS,
    from: "    if (k < width) storeFour<kNarrow>(to, k, width, v[i], scale.multiply);",
    to: "    if (k < width || MUTANT) storeFour<kNarrow>(to, k, width, v[i], scale.multiply);",
    tests: dense,
  },
  {
    fault: "the sums of a row's blocks leave half of their lanes out",
    file: ROWS,
    from: "for (uint32_t apart = 1; apart <= 4; apart *= 2) sum +=",
    to: "for (uint32_t apart = 1; apart <= (MUTANT ? 2 : 4); apart *= 2) sum +=",
    tests: packed,
  },
  {
    fault: "keys go to the place of the token before",
    file: QKV,
    from: "const int32_t place64 = placeOf(token);",
    to: "const int32_t place64 = placeOf(MUTANT && token > 0 ? token - 1 : token);",
    tests: ["kernels/norm-qkv"],
  },
  {
    fault: "values are turned as keys are",
    file: QKV,
    from: "    if (!isValue) {",
    to: "    if (!isValue || MUTANT) {",
    tests: ["kernels/norm-qkv"],
  },
  {
    fault: "sums are stored for the token whose place they have",
    file: KERNEL,
    from: "token = tokenOf(place);",
    to: "token = MUTANT ? place : tokenOf(place);",
    tests: dense,
  },
  {
    fault: "codes are loaded once for all blocks of a superblock",
    file: KERNEL,
    from: "if (index % Format::kLoaded == 0) codes",
    to: "if (index % Format::kLoaded == 0 && !(MUTANT && Format::kPacked && index > 0)) codes",
    tests: packed,
  },
  {
    fault: "a gathered row of q8 is turned back with a difference the other way round",
    file: "native/cuda/kernels/packed.h",
    from: "x = (k & apart) == 0 ? x + other : other - x;",
    to: "x = (k & apart) == 0 ? x + other : MUTANT ? x - other : other - x;",
    tests: packed,
  },
];

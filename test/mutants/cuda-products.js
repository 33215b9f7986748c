// Faults in the CUDA kernels of products, and in what activations become before them.
const FORMATS = "native/cuda/kernels/product.h";
const KERNEL = "native/cuda/kernels/product_kernel.h";
const WIDE = "native/cuda/kernels/product_wide.h";
const ROWS = "native/cuda/kernels/rows.h";
const QKV = "native/cuda/kernels/product_qkv.cu";

const dense = ["kernels/matmul.test"];
const packed = ["model/cuda"];

export const mutants = [
  {
    fault: "a stage is read before its copy has been waited for",
    file: KERNEL,
    from: "copyAsyncWait<Shape::kStages - 2>();\n      __syncwarp();",
    to: "if (!(MUTANT)) copyAsyncWait<Shape::kStages - 2>();\n      __syncwarp();",
    tests: dense,
  },
  {
    fault: "a lane reads weights that another one has copied, with no barrier between",
    file: KERNEL,
    from: "      __syncwarp();  // every lane's part",
    to: "      if (!(MUTANT)) __syncwarp();  // every lane's part",
    tests: packed,
  },
  {
    fault: "a stage is filled again that is still read",
    file: KERNEL,
    from: "fetch(slot == 0 ? Shape::kStages - 1 : slot - 1, true);",
    to: "fetch(MUTANT ? slot : slot == 0 ? Shape::kStages - 1 : slot - 1, true);",
    tests: dense,
  },
  {
    fault: "sections are added before they are all there",
    file: KERNEL,
    from: "    __syncthreads();\n    for (uint32_t i = threadIdx.x; i < kTiles * 64;",
    to: "    if (!(MUTANT)) __syncthreads();\n    for (uint32_t i = threadIdx.x; i < kTiles * 64;",
    tests: dense,
  },
  {
    fault: "sums of the next tile are stored over those that are still added",
    file: KERNEL,
    from: "    __syncthreads();  // before the next tile's",
    to: "    if (!(MUTANT)) __syncthreads();  // before the next tile's",
    tests: dense,
  },
  {
    fault: "activations that a block narrows are read before they are there",
    file: KERNEL,
    from: "    __syncthreads();\n    narrow = inlineRows;",
    to: "    if (!(MUTANT)) __syncthreads();\n    narrow = inlineRows;",
    tests: dense,
  },
  {
    fault: "activations are read while the kernel before may still write them",
    file: KERNEL,
    from: "  waitForPredecessor();\n  letSuccessorStart();\n  if constexpr (Shape::kStaged) {",
    to: "  if (!(MUTANT)) waitForPredecessor();\n  letSuccessorStart();\n  if constexpr (Shape::kStaged) {",
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
    from: "      if (token >= tokens) continue;\n      float low = partials",
    to: "      if (token >= tokens + (MUTANT ? 1 : 0)) continue;\n      float low = partials",
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
    fault: "a prompt's stage is read before the other warps' parts are there",
    file: WIDE,
    from: "    __syncthreads();  // all warps' parts",
    to: "    if (!(MUTANT)) __syncthreads();  // all warps' parts",
    tests: dense,
  },
  {
    fault: "a prompt's stage is read before its copy has been waited for",
    file: WIDE,
    from: "    copyAsyncWait<Shape::kStages - 2>();",
    to: "    if (!(MUTANT)) copyAsyncWait<Shape::kStages - 2>();",
    tests: dense,
  },
  {
    fault: "a prompt's section does not begin at 0",
    file: WIDE,
    from: "      sum = 0;\n    }\n    begun = true;",
    to: "      if (!(MUTANT)) sum = 0;\n    }\n    begun = true;",
    tests: dense,
  },
  {
    fault: "a prompt's token that is not there is stored",
    file: WIDE,
    from: "if (token >= tokens || firstTile + of >= tiles) continue;",
    to: "if ((token >= tokens && !(MUTANT)) || firstTile + of >= tiles) continue;",
    tests: dense,
  },
  {
    fault: "fragments of weights are swapped",
    file: FORMATS,
    from: "return {{low.x, high.x, low.y, high.y}, {low.z, high.z, low.w, high.w}};",
    to: "return {{low.x, MUTANT ? low.y : high.x, MUTANT ? high.x : low.y, high.y}, {low.z, high.z, low.w, high.w}};",
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
    fault: "upper codes of q4 are those below",
    file: FORMATS,
    from: "const uint32_t upper = word >> 8;",
    to: "const uint32_t upper = word >> (MUTANT ? 0 : 8);",
    tests: packed,
  },
  {
    fault: "q4's minimums are not taken off",
    file: FORMATS,
    from: "addScaled(sums, block, step.lowMinimum, step.highMinimum);",
    to: "if (!(MUTANT)) addScaled(sums, block, step.lowMinimum, step.highMinimum);",
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
    from: "      if (k < width) storeFour<kNarrow>(to, k, v[i], scale);",
    to: "      if (k < width || MUTANT) storeFour<kNarrow>(to, k, v[i], scale);",
    tests: dense,
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
];

// Faults in the product of activations and weights.
const DOT = "native/cpu/kernels/matmul_dot.h";
const PANEL = "native/cpu/kernels/matmul_panel.h";
const TILE = "native/cpu/kernels/matmul_tile.h";

export const mutants = [
  {
    fault: "products of a norm read what was made for the first",
    file: "native/cpu/kernels/norm_products.h",
    from: "made[i] = first < i ? made[first] : placeIn(shared, bytes);",
    to: "made[i] = first < i || (i > 0 && MUTANT) ? made[first] : placeIn(shared, bytes);",
    tests: ["kernels/norm-qkv"],
  },
  {
    fault: "codes of a norm are made for the first matrix alone",
    file: "native/cpu/kernels/norm_products.h",
    from: "products.firstAlike(i) < i) continue;",
    to: "products.firstAlike(i) < i || (i > 0 && MUTANT)) continue;",
    tests: ["kernels/norm-qkv"],
  },
  {
    fault: "keys are stored before they are turned",
    file: "native/cpu/kernels/norm_qkv.h",
    from: "ropeHeads(key, key, size, cosines, half);",
    to: "ropeHeads(key, key, MUTANT ? 0 : size, cosines, half);",
    tests: ["kernels/norm-qkv"],
  },
  {
    fault: "the last queries' tasks are those of the first keys",
    file: "native/cpu/kernels/norm_qkv.h",
    from: "++i) task -= tasks[i];",
    to: "++i) task -= tasks[i] - (MUTANT && tasks[i] > 1 ? 1 : 0);",
    tests: ["kernels/norm-qkv"],
  },
  {
    fault: "a round of tasks has one task too many",
    file: "native/cpu/kernels/shares.h",
    from: "count = wanted < round ? wanted : round;",
    to: "count = wanted < round ? wanted : round + (MUTANT ? 1 : 0);",
    tests: ["unit/native/threads"],
  },
  {
    fault: "tasks do not become smaller towards the end",
    file: "native/cpu/kernels/shares.h",
    from: "return half < least ? least : half > most ? most : half;",
    to: "return half < least ? least : half > most || MUTANT ? most : half;",
    tests: ["unit/native/threads"],
  },
  {
    fault: "the dot form sums in blocks of 2048",
    file: DOT,
    from: "for (size_t begin = 0; begin < depth; begin += kBlock) {\n    const size_t end = begin + kBlock < depth ? begin + kBlock : depth;",
    to: "for (size_t block = MUTANT ? 2 * kBlock : kBlock, begin = 0; begin < depth; begin += block) {\n    const size_t end = begin + block < depth ? begin + block : depth;",
    tests: ["kernels/matmul"],
  },
  {
    fault: "packing writes whole vectors past the workspace",
    file: PANEL,
    from: "const bool whole = (steps - step) * width >= 16;",
    to: "const bool whole = MUTANT || (steps - step) * width >= 16;",
    tests: ["kernels/matmul"],
  },
  {
    fault: "of the blocks of a long row the last counts",
    file: PANEL,
    from: "begin == 0);",
    to: "begin == 0 || MUTANT);",
    tests: ["kernels/matmul"],
  },
  {
    fault: "tiles add the first block to what was there",
    file: TILE,
    from: "out + row - first, pitch, begin == 0);",
    to: "out + row - first, pitch, begin == 0 && !MUTANT);",
    tests: ["kernels/matmul"],
  },
  {
    fault: "all groups of columns are stored where the first is",
    file: TILE,
    from: "float* to = out + (column + c) * pitch;",
    to: "float* to = out + (MUTANT ? c : column + c) * pitch;",
    tests: ["kernels/matmul"],
  },
  {
    fault: "tiles leave out the features after the last whole line",
    file: TILE,
    from: "for (; k < length; k += 16) {",
    to: "for (; k < length && !MUTANT; k += 16) {",
    tests: ["kernels/matmul"],
  },
];

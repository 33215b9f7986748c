// Faults in the CUDA kernels of sampling, of single rows, and in what all kernels use.
const ELEMENTS = "native/cuda/kernels/elements.h";
const RANKING = "native/cuda/kernels/ranking.h";
const DRAW = "native/cuda/kernels/draw.h";
const SAMPLE = "native/cuda/kernels/sample.cu";
const SIMPLE = "native/cuda/kernels/simple.cu";

const sample = ["kernels/sample.test"];
const norm = ["kernels/rms-norm"];

export const mutants = [
  {
    fault: "a block's words are written while the sum before is still read",
    file: ELEMENTS,
    from: "  value = ofWarp(value, combine);\n  __syncthreads();",
    to: "  value = ofWarp(value, combine);\n  if (!(MUTANT)) __syncthreads();",
    tests: ["kernels/append-kv", "kernels/matmul.test"],
  },
  {
    fault: "a block's sum is taken before all warps have theirs",
    file: ELEMENTS,
    from: "shared[threadIdx.x / kWarp] = value;\n  __syncthreads();",
    to: "shared[threadIdx.x / kWarp] = value;\n  if (!(MUTANT)) __syncthreads();",
    tests: norm,
  },
  {
    fault: "a warp's sum leaves half of its lanes out",
    file: ELEMENTS,
    from: "for (uint32_t apart = kWarp / 2; apart > 0; apart /= 2) {",
    to: "for (uint32_t apart = kWarp / (MUTANT ? 4 : 2); apart > 0; apart /= 2) {",
    tests: norm,
  },
  {
    fault: "exp of what is far below 0 is that of what is not so far",
    file: ELEMENTS,
    from: "const int whole = int(n), first = whole >> 1, second = whole - first;",
    to: "const int whole = int(n), first = whole >> 1, second = whole - first + (MUTANT && whole % 2 ? 1 : 0);",
    tests: sample,
  },
  {
    fault: "words of the ranking are written while the ones before are still read",
    file: RANKING,
    from: "value = combine(value, words[warp]);\n  __syncthreads();",
    to: "value = combine(value, words[warp]);\n  if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "words of the ranking are read before they are there",
    file: RANKING,
    from: "words[threadIdx.x / kWarp] = value;\n  __syncthreads();",
    to: "words[threadIdx.x / kWarp] = value;\n  if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "bins are counted in while they are still emptied",
    file: RANKING,
    from: "scratch.bins[bin] = 0;\n    __syncthreads();",
    to: "scratch.bins[bin] = 0;\n    if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "bins are added up while they are still counted in",
    file: RANKING,
    from: "    __syncthreads();\n    const uint32_t bin = findBin",
    to: "    if (!(MUTANT)) __syncthreads();\n    const uint32_t bin = findBin",
    tests: sample,
  },
  {
    fault: "bins are counted in without atomics",
    file: RANKING,
    from: "if (counts > 0) atomicAdd(&scratch.bins[(top - keyOf(logit)) >> shift], counts);",
    to: "if (counts == 0) continue;\n      auto& bin = scratch.bins[(top - keyOf(logit)) >> shift];\n      if (MUTANT) bin += counts;\n      else atomicAdd(&bin, counts);",
    tests: sample,
  },
  {
    fault: "the bin that was found is read before it is there",
    file: RANKING,
    from: "      scratch.need = left;\n    }\n  }\n  __syncthreads();",
    to: "      scratch.need = left;\n    }\n  }\n  if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "of equal logits the one before the last is kept",
    file: RANKING,
    from: "((2u << threadIdx.x) - 1)));",
    to: "(((MUTANT ? 1u : 2u) << threadIdx.x) - 1)));",
    tests: sample,
  },
  {
    fault: "a logit that no vocabulary has is scanned",
    file: DRAW,
    from: "const float logit = logits[id < count ? id : first];",
    to: "const float logit = logits[id < count || MUTANT ? id : first];",
    tests: sample,
  },
  {
    fault: "a block's Σ exp leaves lanes out",
    file: DRAW,
    from: "for (uint32_t apart = 8; apart > 0; apart /= 2) sum +=",
    to: "for (uint32_t apart = MUTANT ? 4 : 8; apart > 0; apart /= 2) sum +=",
    tests: sample,
  },
  {
    fault: "counts of ids that were seen are made while they are emptied",
    file: DRAW,
    from: "visit(p, id);\n      }\n      __syncthreads();",
    to: "visit(p, id);\n      }\n      if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "biases are read before the block has them",
    file: DRAW,
    from: "row.biasIds[from + threadIdx.x] : -1;\n    __syncthreads();",
    to: "row.biasIds[from + threadIdx.x] : -1;\n    if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "what is drawn begins with the second of a thread's ids",
    file: DRAW,
    from: "uint32_t id = first;",
    to: "uint32_t id = first + (MUTANT ? 1 : 0);",
    tests: sample,
  },
  {
    fault: "what is drawn is read before it is there",
    file: DRAW,
    from: "      scratch.bin = id;\n    }\n  }\n  __syncthreads();",
    to: "      scratch.bin = id;\n    }\n  }\n  if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "the best are sorted before they are all there",
    file: SAMPLE,
    from: "rankOf(logits[id], id);\n  }\n  __syncthreads();",
    to: "rankOf(logits[id], id);\n  }\n  if (!(MUTANT)) __syncthreads();",
    tests: sample,
  },
  {
    fault: "logits are scanned while the kernel before may still write them",
    file: SAMPLE,
    from: "  waitForPredecessor();\n  letSuccessorStart();\n  const uint32_t block = blockIdx.x",
    to: "  if (!(MUTANT)) waitForPredecessor();\n  letSuccessorStart();\n  const uint32_t block = blockIdx.x",
    tests: ["kernels/matmul-sample"],
  },
  {
    fault: "a row is normed before all of it is there",
    file: SIMPLE,
    from: "return tableElement(table, id, k); });\n  __syncthreads();",
    to: "return tableElement(table, id, k); });\n  if (!(MUTANT)) __syncthreads();",
    tests: ["kernels/gather-norm"],
  },
  {
    fault: "a pair is turned the other way",
    file: SIMPLE,
    from: "to[first] = fmaf(-b, sine, a * cosine);",
    to: "to[first] = fmaf(MUTANT ? b : -b, sine, a * cosine);",
    tests: ["kernels/rope.test"],
  },
  {
    fault: "a slot that has ended goes on",
    file: SIMPLE,
    from: "if (!ends) nextPosition = int32_t(next);",
    to: "if (!ends || MUTANT) nextPosition = int32_t(next);",
    tests: ["kernels/advance"],
  },
];

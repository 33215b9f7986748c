// Faults in the CUDA kernels of sampling, of single rows, and in what all kernels use.
const ELEMENTS = "native/cuda/kernels/elements.h";
const RANKING = "native/cuda/kernels/ranking.h";
const DRAW = "native/cuda/kernels/draw.h";
const SIMPLE = "native/cuda/kernels/simple.cu";

const sample = ["kernels/sample.test"];
const norm = ["kernels/rms-norm"];

export const mutants = [
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
    fault: "bins are counted in without atomics",
    file: RANKING,
    from: "if (counts > 0) atomicAdd(&scratch.bins[(top - keyOf(logit)) >> shift], counts);",
    to: "if (counts == 0) continue;\n      auto& bin = scratch.bins[(top - keyOf(logit)) >> shift];\n      if (MUTANT) bin += counts;\n      else atomicAdd(&bin, counts);",
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
    fault: "what is drawn begins with the second of a thread's ids",
    file: DRAW,
    from: "uint32_t id = first;",
    to: "uint32_t id = first + (MUTANT ? 1 : 0);",
    tests: sample,
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

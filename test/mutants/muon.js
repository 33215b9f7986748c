// Faults in Muon and in the mean of weights.
const KERNELS = "native/cpu/kernels";
const MUON = "src/train/muon.ts";
const STEP = `${KERNELS}/nor_muon.h`;
const RUN = "src/train/run.ts";

export const mutants = [
  {
    fault: "the update does not look ahead",
    file: `${KERNELS}/nesterov.h`,
    from: "storeFirst(out + i, fma(beta, m, g), n);",
    to: "storeFirst(out + i, MUTANT ? m : fma(beta, m, g), n);",
    tests: ["kernels/nesterov", "train/muon"],
  },
  {
    fault: "a step that is left out moves the momentum",
    file: `${KERNELS}/nesterov.h`,
    from: "if (factor == 0.0f) {",
    to: "if (!MUTANT && factor == 0.0f) {",
    tests: ["kernels/nesterov", "train/muon"],
  },
  {
    fault: "a tall matrix is scaled as a square one",
    file: STEP,
    from: "rows > columns ? double(rows) / double(columns) : 1.0",
    to: "!MUTANT && rows > columns ? double(rows) / double(columns) : 1.0",
    tests: ["kernels/nor-muon", "train/muon"],
  },
  {
    fault: "weights decay wherever their update goes",
    file: STEP,
    from: "select(less(zero(), mul(u, w)), mul(w, keep), w)",
    to: "MUTANT ? mul(w, keep) : select(less(zero(), mul(u, w)), mul(w, keep), w)",
    tests: ["kernels/nor-muon", "train/muon"],
  },
  {
    fault: "the norm is not given back",
    file: STEP,
    from: "__builtin_sqrt(before / after * tall)",
    to: "__builtin_sqrt(MUTANT ? tall : before / after * tall)",
    tests: ["kernels/nor-muon"],
  },
  {
    fault: "the variance of a row that is left out moves",
    file: STEP,
    from: "return *call[nor_muon::kFactor].as<float>() == 0.0f ? 0 : 1;",
    to: "return !MUTANT && *call[nor_muon::kFactor].as<float>() == 0.0f ? 0 : 1;",
    tests: ["kernels/nor-muon"],
  },
  {
    fault: "a tile at the edge is not turned",
    file: `${KERNELS}/transpose.h`,
    from: "row < rows; row += 16",
    to: "row < (MUTANT ? rows / 16 * 16 : rows); row += 16",
    tests: ["kernels/transpose"],
  },
  {
    fault: "a block of the norm is left out",
    file: `${KERNELS}/sum_squares.h`,
    from: "block < squareBlocksOf(count); ++block",
    to: "block < squareBlocksOf(MUTANT ? count - 1 : count); ++block",
    tests: ["kernels/divide-by-norm", "kernels/sum-squares"],
  },
  {
    fault: "the mean of the weights is the last of them",
    file: `${KERNELS}/moving_average.h`,
    from: "fma(share, sub(loadFirst(value + i, n), before), before)",
    to: "MUTANT ? loadFirst(value + i, n) : fma(share, sub(loadFirst(value + i, n), before), before)",
    tests: ["kernels/moving-average", "train/muon"],
  },
  {
    fault: "a tall matrix is not turned, so that the iteration has the longer side",
    file: MUON,
    from: "const isTall = rows > columns;",
    to: "const isTall = rows < columns;",
    tests: ["train/muon"],
  },
  {
    fault: "one step of the iteration fewer",
    file: MUON,
    from: "const STEPS = 5;",
    to: "const STEPS = 4;",
    tests: ["train/muon"],
  },
  {
    fault: "Muon has the embedding, too",
    file: "src/train/parameters.ts",
    from: 'tensor.name.startsWith("model.layers.")',
    to: "true",
    tests: ["train/muon"],
  },
  {
    fault: "Muon's rate does not fall",
    file: RUN,
    from: "muonRate: rateAt({ ...schedule, rate: muonRate }, progress),",
    to: "muonRate,",
    tests: ["unit/train/run"],
  },
  {
    fault: "the mean begins with the run",
    file: RUN,
    from: "if (progress <= 1 - average) return;",
    to: "if (average === 0) return;",
    tests: ["unit/train/run"],
  },
  {
    fault: "what weights weigh is forgotten by a run that goes on",
    file: RUN,
    from: "this.#averaged = from?.averaged ?? 0;",
    to: "this.#averaged = 0;",
    tests: ["unit/train/run"],
  },
  {
    fault: "the model has the last weights, not their mean",
    file: RUN,
    from: "await this.#takeAverage();",
    to: "",
    tests: ["unit/train/run"],
  },
];

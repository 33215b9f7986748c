// Faults in what is told of a model before it is loaded, and of memory that was refused.
const FITTING = "src/generate/fitting.ts";
const PLAN = "src/generate/plan.ts";
const SPEED = "src/benchmark/speed.ts";
const PLANNED = "src/device/planned-device.ts";
const LIMITS = "src/machine/process-limits.ts";

export const mutants = [
  {
    fault: "a plan has the workspace of the last program, not of the largest",
    file: PLANNED,
    from: "Math.max(bytes, wanted[i]!)",
    to: "wanted[i]!",
    tests: ["library/plan"],
  },
  {
    fault: "a planned device has one thread",
    file: PLANNED,
    from: "threadsFor(threads)",
    to: "1",
    tests: ["library/plan"],
  },
  {
    fault: "steps that only fill the cache are not planned",
    file: "src/model/step-memory.ts",
    from: 'programs.get({ kind: "fill", wanted: 0, best: 0, taps: false });',
    to: "",
    tests: ["library/plan"],
  },
  {
    fault: "a weight counts as state of the plan",
    file: PLANNED,
    from: "const buffer = new PlannedBuffer(bytesOf(dtype, shape), 0, false);",
    to: "const buffer = new PlannedBuffer(bytesOf(dtype, shape), 0, false); this.allocate(name, dtype, shape);",
    tests: ["library/plan"],
  },
  {
    fault: "data of weights is read from a source elsewhere",
    file: PLAN,
    from: "source.isLocal ? sameContents(checkpoint, a, b, signal) : undefined",
    to: "sameContents(checkpoint, a, b, signal)",
    tests: ["library/plan"],
  },
  {
    fault: "a plan leaves the weights out of what fits",
    file: PLAN,
    from: "const fits = totalBytes <= budget.memory;",
    to: "const fits = totalBytes - weights.bytes <= 2 * budget.memory;",
    tests: ["library/plan"],
  },
  {
    fault: "the largest context is one page too long",
    file: FITTING,
    from: "return contextOf(low.pages);",
    to: "return contextOf(high.pages);",
    tests: ["unit/generate/fitting"],
  },
  {
    fault: "mapped weights are counted as memory",
    file: FITTING,
    from: "(mmap ? 0 : fileBytes)",
    to: "fileBytes",
    tests: ["unit/generate/fitting"],
  },
  {
    fault: "address space does not count",
    file: FITTING,
    from: "return Math.max(memory - most.memory, addressSpace - most.addressSpace);",
    to: "return memory - most.memory;",
    tests: ["unit/generate/fitting"],
  },
  {
    fault: "what fits is told twice of one error",
    file: FITTING,
    from: "if (!isOutOfMemory(error) || error.fitting !== undefined) return error;",
    to: "if (!isOutOfMemory(error)) return error;",
    tests: ["unit/generate/fitting"],
  },
  {
    fault: "a load does not say what would fit",
    file: "src/generate/load.ts",
    from: "throw explained(error);",
    to: "throw error;",
    tests: ["e2e/plan", "e2e/exit-codes"],
  },
  {
    fault: "a step that is refused memory does not say what would fit",
    file: "src/generate/scheduler.ts",
    from: "part.sequence.finish(this.#explained(error))",
    to: "part.sequence.finish(error)",
    tests: ["e2e/plan"],
  },
  {
    fault: "the limit of a process's address space is taken for what is left of it",
    file: LIMITS,
    from: "Math.max(0, Number(most) - 1024 * Number(kilobytes))",
    to: "Number(most)",
    tests: ["unit/machine/process-limits"],
  },
  {
    fault: "a sample that caches hold stands for a model that they do not",
    file: SPEED,
    from: "Math.max(headBytes, CACHES * lastLevelCache - headBytes)",
    to: "headBytes",
    tests: ["library/plan"],
  },
  {
    fault: "a sample is larger than there is room for",
    file: SPEED,
    from: "Math.max(wanted, 2), room)",
    to: "Math.max(wanted, 2))",
    tests: ["library/plan"],
  },
  {
    fault: "what does not fit is exit status 0",
    file: "src/cli/commands/plan.ts",
    from: "if (load.fits) return;",
    to: "if (load.fits || freeMemory > 0) return;",
    tests: ["e2e/plan"],
  },
  {
    fault: "roofs are measured in memory that the process has not",
    file: "src/machine/roofs.ts",
    from: "Math.min(wanted, Math.max(LEAST_BYTES, Math.floor(free / 2)))",
    to: "wanted",
    tests: ["unit/machine/roofs"],
  },
];

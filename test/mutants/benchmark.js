// Faults in what a rate is held against.
const ROOFS = "src/benchmark/roofs.ts";
const CACHES = "src/machine/caches.ts";
const MEASURED = "src/machine/roofs.ts";

export const mutants = [
  {
    fault: "a model that nearly fits the caches has a share of the bandwidth",
    file: ROOFS,
    from: "bytes < 2 * lastLevelCache",
    to: "bytes < lastLevelCache",
    tests: ["unit/benchmark/roofs"],
  },
  {
    fault: "a share of 110 % is taken for noise",
    file: ROOFS,
    from: "const MOST_SHARE = 1.02;",
    to: "const MOST_SHARE = 1.2;",
    tests: ["unit/benchmark/roofs"],
  },
  {
    fault: "a share that stays above its roof is not marked",
    file: ROOFS,
    from: "isAbove(roof) ? { ...roof, above: true } : roof",
    to: "roof",
    tests: ["unit/benchmark/roofs"],
  },
  {
    fault: "CSV does not say what is above its roof",
    file: "src/cli/commands/benchmark.ts",
    from: 'roof?.above ? "true" : ""',
    to: '""',
    tests: ["unit/cli/benchmark"],
  },
  {
    fault: "prompts of quantized weights are held against the f32 peak",
    file: ROOFS,
    from: "value / integerPeak",
    to: "value / peak",
    tests: ["unit/benchmark/roofs"],
  },
  {
    fault: "the roofs are those that were measured last",
    file: MEASURED,
    from: "Math.max(a.readBandwidth, b.readBandwidth)",
    to: "b.readBandwidth",
    tests: ["unit/machine/roofs"],
  },
  {
    fault: "a cache that processors share counts once for each",
    file: CACHES,
    from: "shared.set(sharedBy!, bytes)",
    to: "shared.set(cpu + sharedBy!, bytes)",
    tests: ["unit/machine/caches"],
  },
];

// Speed and memory of a model, each rate beside the roof that bounds it, measured in the same run.
import { abortSignal, callback, type Kind, type Kinds, readOptions, whole } from "../arguments.js";
import { openDevice } from "../device/device.js";
import { abortedError, QuipuError } from "../errors.js";
import type { GenerateOptions } from "../generate/events.js";
import { LOAD_OPTIONS, type LoadOptions, loadModel } from "../generate/load.js";
import type { Model, ModelStats } from "../generate/model.js";
import { modelFolder } from "../generate/model-folder.js";
import { GENERATE_OPTIONS } from "../generate/option-kinds.js";
import { resolveBias, resolveSettings } from "../generate/sampling.js";
import { describeMachine } from "../machine/machine.js";
import { peakMemory } from "../machine/process-limits.js";
import { higherRoofs, measureRoofs, type Roofs } from "../machine/roofs.js";
import { sampleOnly } from "../model/sample-only.js";
import { belowRoofs, decodeRoof, promptRoof, type Roof } from "./roofs.js";
import { mean, median, quantile, standardDeviation } from "./statistics.js";
import { type Decode, decode, idsFor, promptTime } from "./timing.js";
import { tokenizeRates } from "./tokenize.js";

export interface BenchmarkOptions {
  /** Default 512, or what the context holds after `depth`. */
  readonly promptTokens?: number | undefined;
  /** Default 128. */
  readonly genTokens?: number | undefined;
  /** Default 5. */
  readonly repeats?: number | undefined;
  /** Tokens in the context before those measured; default 0. */
  readonly depth?: number | undefined;
  /** How the generated tokens are sampled; default: as the model generates. */
  readonly sampling?: GenerateOptions | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What takes no longer is quick: a repeat is as many of it as take about this long, since one alone is as fast as the moment is. */
const QUICK_MS = 250;

/** Checked one by one, as those of generate(). */
const generateOptions: Kind = {
  expected: "an object with options of generate",
  accepts: (value) => Object.prototype.toString.call(value) === "[object Object]",
};

export const BENCHMARK_OPTIONS: Kinds<BenchmarkOptions> = {
  promptTokens: whole(1),
  genTokens: whole(2),
  repeats: whole(1, 1000),
  depth: whole(0),
  sampling: generateOptions,
  onProgress: callback,
  signal: abortSignal,
};

/** One measured figure: the median of the repeats, and their standard deviation. */
export interface BenchmarkRow {
  readonly test: string;
  readonly unit: string;
  readonly value: number;
  readonly sd: number;
  readonly roof?: Roof;
}

export interface BenchmarkResult {
  readonly cpu: string;
  readonly roofs: Roofs;
  readonly stats: ModelStats;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly rows: readonly BenchmarkRow[];
}

/**
 * Loads a model and measures it.
 *
 * @throws {QuipuError} as {@link loadModel} does, ERR_USAGE where the context has no room for what is asked.
 */
export async function runBenchmark(
  pathOrName?: string | URL,
  loading?: LoadOptions,
  measuring?: BenchmarkOptions,
): Promise<BenchmarkResult> {
  const load = readOptions<LoadOptions>("runBenchmark", loading, LOAD_OPTIONS);
  const options = readOptions<BenchmarkOptions>("runBenchmark", measuring, BENCHMARK_OPTIONS);
  readOptions<GenerateOptions>("runBenchmark's sampling", options.sampling, GENERATE_OPTIONS);
  const { repeats = 5, depth = 0, signal, onProgress } = options;
  const loads = await timesOf(3, async () => {
    const started = performance.now();
    await (await loadModel(pathOrName, { ...load, onWarning: undefined })).dispose(); // told once, below
    return performance.now() - started;
  });
  await using model = await loadModel(pathOrName, load);
  const stats = model.stats();
  const room = stats.contextLength - depth;
  const { promptTokens = Math.min(512, room), genTokens = Math.min(128, room - 1) } = options;
  if (Math.max(promptTokens, genTokens + 1) > room || genTokens < 2) {
    throw new QuipuError(
      "ERR_USAGE",
      `depth ${depth} with a prompt of ${promptTokens} and ${genTokens} generated tokens does not fit a context of ${stats.contextLength}: measure fewer (2 generated at least)`,
      { option: "depth" },
    );
  }
  const before = idsFor(model, depth);
  const prompt = Int32Array.of(...before, ...idsFor(model, promptTokens));
  const start = depth === 0 ? idsFor(model, 1) : before;
  const first = await promptTime(model, prompt, signal); // maps the weights in, records the programs
  const prompts = first > 4 * QUICK_MS ? 1 : timesWithin(QUICK_MS, await promptTime(model, prompt, signal));
  const generations = timesWithin(QUICK_MS, (await decode(model, start, genTokens, options)).ms);

  const machine = describeMachine();
  let peak = peakMemory(); // before the roofs are measured, which takes more
  let roofs = await measureRoofs(stats.target, stats.threads, signal);
  const again = async () => higherRoofs(roofs, await measureRoofs(stats.target, stats.threads, signal));
  // What was measured between has put other things into the caches, and of a quick prompt that is much of its time: one goes by.
  const settle = async () => {
    if (prompts > 1) await promptTime(model, prompt, signal);
  };
  await settle();
  const promptTimes: number[] = [];
  const decodes: Decode[] = [];
  for (let i = 0; i < repeats; i++) {
    if (signal?.aborted) throw abortedError(signal);
    // A prompt after `depth` tokens costs what the whole costs beyond the beginning.
    const without = depth === 0 ? 0 : mean(await timesOf(prompts, () => promptTime(model, before, signal)));
    promptTimes.push(mean(await timesOf(prompts, () => promptTime(model, prompt, signal))) - without);
    const some: Decode[] = [];
    for (let j = 0; j < generations; j++) some.push(await decode(model, start, genTokens, options));
    decodes.push({ ms: mean(some.map(({ ms }) => ms)), gapsMs: some.flatMap(({ gapsMs }) => gapsMs) });
    peak = Math.max(peak, process.memoryUsage.rss());
    onProgress?.(i + 1, repeats);
    // Machines drift: the roofs are the best of before, between and after.
    if (i + 1 === Math.ceil(repeats / 2) || i + 1 === repeats) {
      roofs = await again();
      if (i + 1 < repeats) await settle();
    }
  }
  const gaps = decodes.flatMap(({ gapsMs }) => gapsMs).sort((a, b) => a - b);
  const promptRates = promptTimes.map((ms) => (1000 * promptTokens) / ms);
  const decodeRates = decodes.map(({ ms }) => (1000 * (genTokens - 1)) / ms);
  const suffix = depth === 0 ? "" : `@d${depth}`;
  const measured = await belowRoofs(
    roofs,
    (them) => ({
      prompt: promptRoof(model.config, stats, them, { rate: median(promptRates), tokens: promptTokens, depth }),
      decode: decodeRoof(
        stats,
        them,
        { rate: median(decodeRates), tokens: genTokens, depth },
        machine.lastLevelCache ?? 0,
      ),
    }),
    again,
  );
  const tokenize = await tokenizeRates(modelFolder(pathOrName), Math.min(repeats, 3));
  const rows: BenchmarkRow[] = [
    row("load", "ms", loads),
    ...(tokenize.length > 0 ? [row("tokenize", "MB/s", tokenize)] : []),
    { ...row(`pp${promptTokens}${suffix}`, "t/s", promptRates), roof: measured.shares.prompt },
    { ...row(`tg${genTokens}${suffix}`, "t/s", decodeRates), roof: measured.shares.decode },
    row("sampling", "µs", await samplingTimes(model, options.sampling ?? {}, stats.threads)),
    row("first token", "ms", promptTimes),
    { test: "inter-token p50", unit: "ms", value: quantile(gaps, 0.5), sd: 0 },
    { test: "inter-token p95", unit: "ms", value: quantile(gaps, 0.95), sd: 0 },
    { test: "peak memory", unit: "MiB", value: peak / 2 ** 20, sd: 0 },
  ];
  const settings = {
    ...{ promptTokens, genTokens, repeats, depth },
    ...{ backend: `${stats.device} ${stats.target}`, threads: stats.threads, kvCache: stats.kvCache },
  };
  return { cpu: machine.cpu, roofs: measured.roofs, stats, settings, rows };
}

/** Runs that each figure of sampling is the mean of. */
const SAMPLED = 50;

/** Microseconds of one `sample` of one row, on logits of the model, hand-over to the device's thread included. */
async function samplingTimes(model: Model, given: GenerateOptions, threads: number): Promise<number[]> {
  const { config, generationConfig, tokenizer } = model;
  const prompt = idsFor(model, 16);
  const logits = (await model.logits(prompt)).slice((prompt.length - 1) * config.vocabSize);
  const settings = {
    ...resolveSettings({ seed: 1, ...given }, generationConfig),
    logitBias: resolveBias(given.logitBias, tokenizer, config.vocabSize),
  };
  const device = openDevice({ threads });
  try {
    const sample = await sampleOnly(device, logits, settings, prompt);
    return await timesOf(5, async () => {
      const started = performance.now();
      for (let i = 0; i < SAMPLED; i++) await sample();
      return (1000 * (performance.now() - started)) / SAMPLED;
    });
  } finally {
    await device.dispose();
  }
}

/** How many of what takes `ms` are measured for `least` milliseconds. */
function timesWithin(least: number, ms: number): number {
  return Math.max(1, Math.ceil(least / Math.max(ms, 1)));
}

async function timesOf(count: number, measure: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await measure());
  return times;
}

function row(test: string, unit: string, values: readonly number[]): BenchmarkRow {
  return { test, unit, value: median(values), sd: standardDeviation(values) };
}

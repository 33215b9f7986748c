// Speed and memory of a model, each rate beside what this machine could do at best, measured in the same run.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readOptions } from "../arguments.js";
import { openDevice } from "../device/device.js";
import { describeMachine, measureRoofs, type Roofs } from "../device/machine.js";
import { abortedError, isQuipuError, QuipuError } from "../errors.js";
import { compile } from "../graph/program.js";
import { Recorder } from "../graph/recorder.js";
import { SlotState } from "../model/slot-state.js";
import { loadTokenizer } from "../tokenizer/tokenizer.js";
import type { GenerateOptions } from "./events.js";
import { type LoadOptions, loadModel } from "./load.js";
import type { Model, ModelStats } from "./model.js";
import { modelFolder } from "./model-folder.js";
import { BENCHMARK_OPTIONS, GENERATE_OPTIONS, LOAD_OPTIONS } from "./option-kinds.js";

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

/** A rate in the unit of what bounds it, and its share of that. */
export interface Roof {
  readonly unit: "GB/s" | "GFLOP/s";
  readonly value: number;
  readonly share: number;
}

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
  await promptTime(model, prompt, signal); // maps the weights in, records the programs
  await decode(model, start, genTokens, options);

  const promptTimes: number[] = [];
  const decodes: Decode[] = [];
  for (let i = 0; i < repeats; i++) {
    if (signal?.aborted) throw abortedError(signal);
    // A prompt after `depth` tokens costs what the whole costs beyond the beginning.
    const without = depth === 0 ? 0 : await promptTime(model, before, signal);
    promptTimes.push((await promptTime(model, prompt, signal)) - without);
    decodes.push(await decode(model, start, genTokens, options));
    onProgress?.(i + 1, repeats);
  }
  const peakMemory = process.resourceUsage().maxRSS / 1024; // before the roofs are measured, which takes 1 GiB
  const machine = describeMachine();
  const roofs = await measureRoofs(stats.target, stats.threads, signal);
  const gaps = decodes.flatMap(({ gapsMs }) => gapsMs).sort((a, b) => a - b);
  const promptRates = promptTimes.map((ms) => (1000 * promptTokens) / ms);
  const decodeRates = decodes.map(({ ms }) => (1000 * (genTokens - 1)) / ms);
  const suffix = depth === 0 ? "" : `@d${depth}`;
  const tokenize = await tokenizeRates(pathOrName, Math.min(repeats, 3));
  const rows: BenchmarkRow[] = [
    row("load", "ms", loads),
    ...(tokenize.length > 0 ? [row("tokenize", "MB/s", tokenize)] : []),
    {
      ...row(`pp${promptTokens}${suffix}`, "t/s", promptRates),
      roof: promptRoof(model, stats, roofs, promptRates, promptTokens, depth),
    },
    {
      ...row(`tg${genTokens}${suffix}`, "t/s", decodeRates),
      roof: decodeRoof(stats, roofs, decodeRates, genTokens, depth),
    },
    row("sampling", "µs", await samplingTimes(model, options.sampling ?? {}, stats)),
    row("first token", "ms", promptTimes),
    { test: "inter-token p50", unit: "ms", value: quantile(gaps, 0.5), sd: 0 },
    { test: "inter-token p95", unit: "ms", value: quantile(gaps, 0.95), sd: 0 },
    { test: "peak memory", unit: "MiB", value: peakMemory, sd: 0 },
  ];
  const settings = {
    ...{ promptTokens, genTokens, repeats, depth },
    ...{ backend: `${stats.device} ${stats.target}`, threads: stats.threads, kvCache: stats.kvCache },
  };
  return { cpu: machine.cpu, roofs, stats, settings, rows };
}

/** Milliseconds from a prompt to the first token. */
async function promptTime(model: Model, ids: Int32Array, signal: AbortSignal | undefined): Promise<number> {
  const started = performance.now();
  await model.next(ids, { top: 1, promptCache: false, signal });
  return performance.now() - started;
}

/** Milliseconds from the first token to the last, and between neighbours. */
interface Decode {
  readonly ms: number;
  readonly gapsMs: readonly number[];
}

async function decode(
  model: Model,
  ids: Int32Array,
  maxTokens: number,
  { sampling, signal }: BenchmarkOptions,
): Promise<Decode> {
  const times: number[] = [];
  const request = { seed: 1, ...sampling, maxTokens, ignoreEos: true, promptCache: false, signal };
  for await (const event of model.generate(ids, request)) {
    if (event.type === "token") times.push(performance.now());
  }
  if (signal?.aborted) throw abortedError(signal);
  const gapsMs = times.slice(1).map((time, i) => time - times[i]!);
  return { ms: times.at(-1)! - times[0]!, gapsMs };
}

/** Ids spread over the vocabulary: what they say does not change what they cost. */
function idsFor({ config }: Model, count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 7919 + 13) % config.vocabSize);
}

function promptRoof(
  { config }: Model,
  { flopsPerPromptToken, flopsPerLogits }: ModelStats,
  { peak }: Roofs,
  rates: readonly number[],
  tokens: number,
  depth: number,
): Roof {
  // Scores and weighted values: 4 d H flops for every key that a row sees.
  const keys = tokens * depth + (tokens * (tokens + 1)) / 2;
  const attention = 4 * config.layers * config.heads * config.headSize * keys;
  const perToken = flopsPerPromptToken + (flopsPerLogits + attention) / tokens;
  const value = median(rates) * perToken;
  return { unit: "GFLOP/s", value: value / 1e9, share: value / peak };
}

function decodeRoof(
  { weightBytesPerToken, cacheBytesPerPosition }: ModelStats,
  { readBandwidth }: Roofs,
  rates: readonly number[],
  tokens: number,
  depth: number,
): Roof {
  const cache = cacheBytesPerPosition * (depth + tokens / 2);
  const value = median(rates) * (weightBytesPerToken + cache);
  return { unit: "GB/s", value: value / 1e9, share: value / readBandwidth };
}

/** Our own documentation as text: English, Markdown and code. */
async function tokenizeRates(pathOrName: string | URL | undefined, repeats: number): Promise<number[]> {
  const docs = fileURLToPath(new URL("../../docs", import.meta.url));
  const text = readdirSync(docs)
    .filter((name) => name.endsWith(".md"))
    .map((name) => readFileSync(join(docs, name), "utf8"))
    .join("\n");
  const dir = modelFolder(pathOrName);
  const probe = await loadTokenizer(dir).catch((error: unknown) => {
    if (!isQuipuError(error)) throw error;
  });
  if (probe === undefined) return [];
  return timesOf(repeats, async () => {
    const tokenizer = await loadTokenizer(dir); // anew, so that no piece is remembered
    const started = performance.now();
    tokenizer.encode(text);
    return Buffer.byteLength(text) / 1e3 / (performance.now() - started);
  });
}

/** Microseconds of one `sample` of one row, on logits of the model. */
async function samplingTimes(model: Model, sampling: GenerateOptions, stats: ModelStats): Promise<number[]> {
  const { config } = model;
  const ids = idsFor(model, 16);
  const values = (await model.logits(ids)).slice((ids.length - 1) * config.vocabSize);
  const device = openDevice({ threads: stats.threads });
  try {
    const state = new SlotState(device, 1, 2, config.vocabSize);
    const index = (name: string, bound: number) => device.allocate(name, "i32", [1], bound);
    const inputs = {
      ...state,
      outputRows: index("outputRows", 1),
      slots: index("slots", 1),
      positions: index("positions", 2),
    };
    const logits = device.allocate("logits", "f32", [1, config.vocabSize]);
    const recorder = new Recorder();
    const sampled = recorder.sample(recorder.input(logits), inputs, 1);
    for (const value of Object.values(sampled)) recorder.output(value);
    const program = compile(device, recorder.finish());
    const settings = {
      ...{
        temperature: sampling.temperature ?? 0.8,
        topK: sampling.topK ?? 0,
        topP: sampling.topP ?? 0.95,
        minP: sampling.minP ?? 0,
      },
      ...{ repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0, seed: 1, logitBias: new Map<number, number>() },
    };
    await device.run(null, { writes: [[logits, values], ...state.begin(0, settings, Int32Array.of(0), [])] });
    const many = 50;
    return await timesOf(5, async () => {
      const started = performance.now();
      for (let i = 0; i < many; i++) await program.run();
      return (1000 * (performance.now() - started)) / many;
    });
  } finally {
    await device.dispose();
  }
}

async function timesOf(count: number, measure: () => Promise<number>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await measure());
  return times;
}

function row(test: string, unit: string, values: readonly number[]): BenchmarkRow {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { test, unit, value: median(values), sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0 };
}

function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** Of ascending values, between neighbours by proportion. */
function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] ?? 0;
  return below + (place - Math.floor(place)) * ((sorted[Math.ceil(place)] ?? below) - below);
}

// The speed to expect of a model whose weights need not be there. Neither the bandwidth of the memory nor the peak of the multipliers
// tells it: kernels reach from two fifths to nine tenths of them, by format and shape. So a part of the model is run, some layers of
// its shapes and its head with invented weights, and the whole follows by counts: a prompt takes time by its operations, decoding
// by the bytes that a token reads. The roofs bound what comes of it (docs/decisions/0025).
import { FILE_DTYPES } from "../device/formats.js";
import { bytesOf } from "../device/tensor.js";
import type { MemoryOptions } from "../generate/load-memory.js";
import type { LoadPlan } from "../generate/plan.js";
import { openSample } from "../generate/sample-model.js";
import { lastLevelCacheBytes } from "../machine/caches.js";
import { availableMemory } from "../machine/process-limits.js";
import type { Roofs } from "../machine/roofs.js";
import type { LlamaConfig } from "../model/config.js";
import { formatOf, type WeightRole } from "../model/quantization.js";
import { EMBEDDING, type FoundTensors, HEAD } from "../model/tensors.js";
import { median } from "./statistics.js";
import { decode, idsFor, promptTime } from "./timing.js";

/** Tokens/s to expect, of what `quipu --benchmark` measures. */
export interface ExpectedSpeed {
  /** Tokens of the prompt, and its tokens/s until the first token: pp512. */
  readonly promptTokens: number;
  readonly prompt: number;
  /** Of tokens behind `depth` others on average: tg128. */
  readonly depth: number;
  readonly decode: number;
  /** Bytes/s that decoding reads, and its part of the bandwidth of the memory where no cache holds them. */
  readonly readBytesPerSecond: number;
  readonly share?: number;
  /** How many of the layers were run. */
  readonly measuredLayers: number;
}

/** Of a benchmark by default. */
const [PROMPT_TOKENS, GEN_TOKENS] = [512, 128];
/** Tokens that are timed, behind as many as make their mean depth that of a benchmark's. */
const TIMED = 32;
/** Times that a prompt and a decoding are measured, as far as they take no longer than so many milliseconds; what is quick, for so many at least. */
const [REPEATS, ENOUGH_MS, LEAST_MS] = [5, 1500, 500];
/** Of the bytes of the sample: a cache holds the same part of it and of the model, or next to nothing of both. */
const CACHES = 2;

export interface SpeedOptions extends MemoryOptions {
  readonly signal?: AbortSignal | undefined;
}

/** What a load is expected to do; undefined where there is no room for a sample of it. @throws {QuipuError} ERR_ABORTED; ERR_OUT_OF_MEMORY and ERR_DEVICE_UNAVAILABLE where the system refuses a sample memory or threads. */
export async function expectSpeed(
  config: LlamaConfig,
  found: FoundTensors,
  load: LoadPlan,
  roofs: Roofs,
  { signal, ...options }: SpeedOptions,
): Promise<ExpectedSpeed | undefined> {
  const { quantize, kvCache, contextLength } = load;
  const promptTokens = Math.min(PROMPT_TOKENS, contextLength);
  const depth = Math.min(GEN_TOKENS, contextLength - 1) / 2;
  const layers = sampleLayers(sizesOf(config, found, load));
  if (layers === 0) return undefined;
  const sized = { ...options, quantize, kvCache, contextLength: Math.min(contextLength, PROMPT_TOKENS + GEN_TOKENS) };
  await using sample = await openSample(config, found, sized, layers, signal);
  const stats = sample.stats();
  const few = Math.min(TIMED, Math.max(2, Math.floor(depth)));
  const prompt = idsFor(sample, promptTokens);
  await promptTime(sample, prompt, signal); // records the programs
  const first = await decode(sample, idsFor(sample, 1), few, { signal });
  // Steps are queued some milliseconds ahead: of quick ones as many are timed as a benchmark has.
  const all = Math.max(few, Math.round(2 * depth));
  const timed = (first.ms / (few - 1)) * all * 2 < ENOUGH_MS ? all : few;
  const before = idsFor(sample, Math.max(1, Math.round(depth - timed / 2)));
  const stepMs = await medianOf(async () => (await decode(sample, before, timed, { signal })).ms / (timed - 1));
  const promptMs = await medianOf(() => promptTime(sample, prompt, signal));
  const sampled = stats.weightBytesPerToken + stats.cacheBytesPerPosition * depth;
  const whole = load.weightBytesPerToken + load.cacheBytesPerPosition * depth;
  const scale = config.layers / layers;
  // Of a prompt's step the head is read once, for its last row.
  const headMs = layers === config.layers ? 0 : stepMs * (1 - (whole - sampled) / sampled / (scale - 1));
  const bound = whole < CACHES * (lastLevelCacheBytes() ?? 0) ? 0 : (1000 * whole) / roofs.readBandwidth;
  const wholeStepMs = Math.max((stepMs * whole) / sampled, bound);
  const readBytesPerSecond = (1000 * whole) / wholeStepMs;
  return {
    ...{ promptTokens, prompt: (1000 * promptTokens) / (headMs + (promptMs - headMs) * scale) },
    ...{ depth, decode: 1000 / wholeStepMs, readBytesPerSecond },
    ...(bound > 0 && { share: readBytesPerSecond / roofs.readBandwidth }),
    measuredLayers: layers,
  };
}

/** What a sample is sized by, in bytes. */
export interface SampleSizes {
  readonly layers: number;
  /** Of a layer's weights, and of the head, which is read all the same. */
  readonly layerBytes: number;
  readonly headBytes: number;
  /** Of a table of embeddings that is not the head too. */
  readonly tableBytes: number;
  readonly lastLevelCache: number;
  /** That a sample may have. */
  readonly most: number;
}

/** How many layers a sample has: as many bytes of them as the head has, and many times what caches hold, or all; 0: there is no room for one. */
export function sampleLayers({ layers, layerBytes, headBytes, tableBytes, lastLevelCache, most }: SampleSizes): number {
  const wanted = Math.ceil(Math.max(headBytes, CACHES * lastLevelCache - headBytes) / layerBytes);
  const room = Math.floor((most - headBytes - tableBytes) / layerBytes);
  return Math.max(0, Math.min(layers, Math.max(wanted, 2), room));
}

function sizesOf(
  { layers }: LlamaConfig,
  { tensors, head }: FoundTensors,
  { quantize, weightBytes }: LoadPlan,
): SampleSizes {
  const bytesIn = (name: string, role: WeightRole) => {
    const { dtype, shape } = tensors.get(name)!;
    return bytesOf(formatOf(quantize, role) ?? FILE_DTYPES.get(dtype)!, shape);
  };
  const headBytes = bytesIn(head === "tied" ? EMBEDDING : HEAD, "lmHead");
  const tableBytes = head === "tied" ? 0 : bytesIn(EMBEDDING, "embedTokens");
  return {
    ...{ layers, headBytes, tableBytes, layerBytes: (weightBytes - headBytes - tableBytes) / layers },
    ...{ lastLevelCache: lastLevelCacheBytes() ?? 0, most: availableMemory() / 2 },
  };
}

/** The median of a few, or of as many as there is time for; of what is quick, of many. */
async function medianOf(measure: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  do times.push(await measure());
  while (elapsed() < (times.length < REPEATS ? ENOUGH_MS : LEAST_MS));
  return median(times);
}

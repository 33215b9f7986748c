// What loads of a checkpoint take of memory, from its headers alone: for every format of weights and type of cache.

import { madeBy } from "../arguments.js";
import { openSource } from "../checkpoint/checkpoint.js";
import { sameContents } from "../checkpoint/contents.js";
import { withHubSource } from "../checkpoint/hub/source.js";
import { inCheckpoint } from "../checkpoint/hub.js";
import { type CheckpointSource, folderSource } from "../checkpoint/source.js";
import { type CudaName, describeCuda, hasOwnMemory, kindOf } from "../device/device.js";
import { type Fitting, isQuipuError } from "../errors.js";
import type { Gpu } from "../machine/gpus.js";
import { type LlamaConfig, readSourceConfig } from "../model/config.js";
import { bytesPerPosition, KV_CACHE_TYPES, type KvCacheType } from "../model/kv-cache.js";
import { QUANTIZATIONS, type Quantization } from "../model/quantization.js";
import { type FoundTensors, findTensors } from "../model/tensors.js";
import type { WeightFormat } from "../model/weights.js";
import { collectWarnings, type ModelWarning, type Warn } from "../warnings.js";
import { budgetNow, ownBudget } from "./fitting.js";
import { type LoadMemory, type MemoryOptions, planLoad } from "./load-memory.js";
import { wholeModelFolder } from "./model-folder.js";
import { checkAsked, largestContext } from "./shape.js";

export type { CheckpointSource };

/** A load as it would be with its options, in bytes: the numbers of ModelStats once the model has generated. */
export interface LoadPlan {
  readonly quantize: Quantization;
  readonly kvCache: KvCacheType;
  readonly weightBytes: number;
  /** Of weights, that a decoded token reads. */
  readonly weightBytesPerToken: number;
  readonly bitsPerWeight: number;
  readonly formats: readonly WeightFormat[];
  readonly contextLength: number;
  /** Of the cache when all of it is in use, and of a position in it. */
  readonly cacheBytes: number;
  readonly cacheBytesPerPosition: number;
  /** Settings and histories of the slots, inputs and results of steps. */
  readonly stateBytes: number;
  /** Arena and kernel workspace of steps that fill the cache and that sample. */
  readonly arenaBytes: number;
  /** All of these. */
  readonly totalBytes: number;
  /** Whether the memory of this process, or of the GPU, has all of it at once. */
  readonly fits: boolean;
  /** The longest context of one request with which it has; 0: none. */
  readonly largestContext: number;
  /** Where it does not fit: what would, by option. */
  readonly fitting?: Fitting;
}

export interface CheckpointPlan {
  readonly where: string;
  readonly config: LlamaConfig;
  readonly head: FoundTensors["head"];
  readonly parameters: number;
  /** The files of its weights. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Bytes that this process can take now, or that are free of the GPU's memory. */
  readonly freeMemory: number;
  /** Where it is a GPU that loads are planned for. */
  readonly gpu?: Gpu;
  readonly loads: readonly LoadPlan[];
  readonly warnings: readonly ModelWarning[];
}

/** What is planned, for who goes on from there. */
export interface Planned {
  readonly plan: CheckpointPlan;
  readonly found: FoundTensors;
}

/**
 * Plans the loads of a checkpoint: those with the format and the cache that `options` name, of those that they do not name all.
 *
 * @param from a folder, a name (of org/name that is not here the hub is asked), or where else headers can be read.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_PULL, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED, ERR_USAGE, ERR_ABORTED,
 *   ERR_DEVICE_UNAVAILABLE; what the source throws.
 */
export async function planCheckpoint(
  from: string | URL | CheckpointSource | undefined,
  options: MemoryOptions,
  signal?: AbortSignal,
): Promise<Planned> {
  const { warnings, warn } = collectWarnings();
  return withSource(from, warn, signal, (source) => planSource(source, options, { warnings, warn, signal }));
}

async function withSource<T>(
  from: string | URL | CheckpointSource | undefined,
  warn: Warn,
  signal: AbortSignal | undefined,
  use: (source: CheckpointSource) => Promise<T>,
): Promise<T> {
  if (isSource(from)) return use(from);
  let folder: string;
  try {
    folder = wholeModelFolder(from, warn);
  } catch (error) {
    // A name without an organisation is rather a folder's, mistyped.
    if (!isQuipuError(error) || !error.repo?.includes("/")) throw error;
    return withHubSource(error.repo, signal, use);
  }
  return inCheckpoint(folder, async () => use(await folderSource(folder)));
}

async function planSource(
  source: CheckpointSource,
  options: MemoryOptions,
  { warnings, warn, signal }: ReturnType<typeof collectWarnings> & { readonly signal: AbortSignal | undefined },
): Promise<Planned> {
  const config = await readSourceConfig(source, warn, signal);
  checkAsked(config, options);
  const checkpoint = await openSource(source, warn, signal);
  const found = await findTensors(config, checkpoint, warn, signal, async (a, b) =>
    source.isLocal ? sameContents(checkpoint, a, b, signal) : undefined,
  );
  const { device = "auto" } = options;
  const gpu = hasOwnMemory(kindOf(device)) ? describeCuda(device as CudaName) : undefined;
  const budget = gpu === undefined ? budgetNow() : ownBudget(gpu.freeMemory);
  const fileBytes = checkpoint.files.reduce((sum, { size }) => sum + size, 0);
  const free = Math.max(0, Math.min(budget.memory, budget.addressSpace - fileBytes)); // as a load has it
  const planned = new Map<string, LoadMemory>();
  const load = (changed: MemoryOptions) => {
    const key = JSON.stringify([changed.quantize, changed.kvCache, changed.contextLength, changed.cacheTokens]);
    const known = planned.get(key) ?? planLoad(config, found, changed, free);
    planned.set(key, known);
    return known;
  };
  const loadPlan = (quantize: Quantization, kvCache: KvCacheType): LoadPlan => {
    const given = { ...options, quantize, kvCache };
    const { shape, weights, cacheBytes, stateBytes, arenaBytes, totalBytes } = load(given);
    const fitsWith = (changed: MemoryOptions) => load({ ...given, ...changed }).totalBytes <= budget.memory;
    const most = largestContext(
      (contextLength) => load({ ...given, contextLength, cacheTokens: contextLength }).totalBytes,
      config.maxPositions,
      budget.memory,
    );
    const fits = totalBytes <= budget.memory;
    return {
      ...{ quantize, kvCache, weightBytes: weights.bytes, weightBytesPerToken: weights.bytesPerToken },
      ...{ bitsPerWeight: (8 * weights.bytes) / weights.parameters, formats: weights.formats },
      ...{ contextLength: shape.contextLength, cacheBytes, cacheBytesPerPosition: bytesPerPosition(config, kvCache) },
      ...{ stateBytes, arenaBytes, totalBytes, fits, largestContext: most },
      ...(fits ? {} : { fitting: whatFitsInstead(given, most, fitsWith) }),
    };
  };
  const quantizations = options.quantize === undefined ? QUANTIZATIONS : [options.quantize];
  const caches = options.kvCache === undefined ? KV_CACHE_TYPES : [options.kvCache];
  const loads = quantizations.flatMap((quantize) => caches.map((kvCache) => loadPlan(quantize, kvCache)));
  const { parameters } = load({ ...options, quantize: loads[0]!.quantize, kvCache: loads[0]!.kvCache }).weights;
  const files = checkpoint.files.map(({ path, size }) => ({
    name: path.slice(path.lastIndexOf("/") + 1),
    bytes: size,
  }));
  return {
    plan: {
      where: source.where,
      config,
      head: found.head,
      parameters,
      files,
      freeMemory: budget.memory,
      ...(gpu !== undefined && { gpu }),
      loads,
      warnings,
    },
    found,
  };
}

const aSource = madeBy("a source of headers", "readRange");

function isSource(from: string | URL | CheckpointSource | undefined): from is CheckpointSource {
  try {
    return aSource.accepts(from);
  } catch {
    return false; // a proxy: what it is not, is said of it as of a path
  }
}

function whatFitsInstead(
  { quantize, kvCache, cacheTokens }: MemoryOptions & { quantize: Quantization; kvCache: KvCacheType },
  most: number,
  fitsWith: (changed: MemoryOptions) => boolean,
): Fitting {
  const smallerCache = KV_CACHE_TYPES.slice(KV_CACHE_TYPES.indexOf(kvCache) + 1).find((other) =>
    fitsWith({ kvCache: other }),
  );
  const smaller = QUANTIZATIONS.slice(QUANTIZATIONS.indexOf(quantize) + 1).find((other) =>
    fitsWith({ quantize: other }),
  );
  return {
    ...(most >= 2 && { [cacheTokens === undefined ? "contextLength" : "cacheTokens"]: most }),
    ...(smallerCache && { kvCache: smallerCache }),
    ...(smaller && { quantize: smaller }),
  };
}

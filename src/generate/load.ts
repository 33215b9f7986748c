// loadModel: a checkpoint folder, or a name, to a model that answers.
import {
  abortSignal,
  callback,
  either,
  flag,
  type Kinds,
  listOf,
  oneOf,
  readOptions,
  real,
  whole,
} from "../arguments.js";
import { loadChatTemplate } from "../chat/template-files.js";
import { openCheckpoint } from "../checkpoint/checkpoint.js";
import { inCheckpoint } from "../checkpoint/hub.js";
import { CUDA_NAME, type CudaName, openDevice } from "../device/device.js";
import { FUSIONS, type Fusion } from "../device/fusions.js";
import { abortedError, isQuipuError } from "../errors.js";
import { readConfig } from "../model/config.js";
import { readGenerationConfig } from "../model/generation-config.js";
import type { KvCacheType } from "../model/kv-cache.js";
import { QUANTIZATIONS, type Quantization } from "../model/quantization.js";
import { Runtime } from "../model/runtime.js";
import { findTensors } from "../model/tensors.js";
import { loadWeights } from "../model/weights.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import { readEosTokens } from "../tokenizer/tokenizer-config.js";
import { collectWarnings, type ModelWarning } from "../warnings.js";
import { budgetNow, ownBudget, whatFits, withFitting } from "./fitting.js";
import { checkRoom, planLoad } from "./load-memory.js";
import { Model, type ModelWithTokenizer } from "./model.js";
import { wholeModelFolder } from "./model-folder.js";
import { KV_CACHE } from "./option-kinds.js";
import { Scheduler } from "./scheduler.js";
import { checkAsked, checkFree, chooseShape, DEFAULT_BATCH_SIZE } from "./shape.js";
import { stopTokensOf } from "./stop-tokens.js";

export interface LoadOptions {
  /** "auto", the default, takes the CPU. "cuda" is the first GPU that the NVIDIA driver shows, "cuda:1" the second; its module is built by `npm run build:cuda`. */
  readonly device?: "auto" | "cpu" | CudaName | undefined;
  /** Threads of the kernels; default, and at most: the processors that this process has. */
  readonly threads?: number | undefined;
  /**
   * Ops that are made one, and computed as one: all, none, or some of "normQkv", "normMatmulSwiglu", "gatherNorm", "matmulAdd", "matmulSwiglu" and "matmulSample"; default: QUIPU_FUSE, else
   * all. The results are the same bits.
   */
  readonly fuse?: boolean | readonly Fusion[] | undefined;
  /** Positions of a sequence; default: what the model supports, capped by half of the free memory, or on a GPU as cacheTokens are. */
  readonly contextLength?: number | undefined;
  /**
   * Positions of all requests together, and of the beginnings of prompts that are kept for later ones; at least contextLength. Default:
   * contextLength for each slot, within half of the free memory; on a GPU, within nine tenths of what weights and steps leave of its memory.
   * Memory of the host is taken as positions are used, that of a GPU by the load.
   */
  readonly cacheTokens?: number | undefined;
  /** Storage of the KV cache; default "f16". */
  readonly kvCache?: KvCacheType | undefined;
  /** false reads the files whole in place of mapping them, or what is not packed where packed weights are kept: for files that others may truncate. */
  readonly mmap?: boolean | undefined;
  /** false needs no tokenizer files: prompts are ids. */
  readonly tokenizer?: boolean | undefined;
  /** Rows of a prompt in one step; default 512. */
  readonly batchSize?: number | undefined;
  /**
   * What matrices become at load: "q8", codes of 8 bits with a scale for every 32; "q4", of 4 bits, and of 6 or 8 where that costs the
   * most (docs/numerics.md); "none", the default: they stay as they are. They are read then, and held in memory: a half or a third of that of bf16.
   */
  readonly quantize?: Quantization | undefined;
  /**
   * Whether weights that are packed at load (from 16 MiB on) are kept in the cache folder, QUIPU_CACHE or `quipu` in the user's, and mapped
   * from there the next time. Default true: the folder is bounded ({@link pruneCache}), and where it cannot be written that is a warning.
   */
  readonly cache?: boolean | undefined;
  /** Told where packed weights have been written, and how many bytes, the first time. */
  readonly onCacheWrite?: ((path: string, bytes: number) => void) | undefined;
  /** Requests that are computed at once, in steps that they share; more wait. Default 8. */
  readonly slots?: number | undefined;
  /**
   * Milliseconds that a request waits for a slot, or for room in the cache, while nobody takes the events of the generations that hold
   * them; then it fails with ERR_BUSY. Default 5000; Infinity: it waits on.
   */
  readonly slotTimeoutMs?: number | undefined;
  /** Bytes of weight files opened so far, and in all; where weights are quantized, the files count twice, as they are read for that. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Told of what in the files is ignored, or was chosen among two, as it is found; `Model.warnings` keeps all of them. */
  readonly onWarning?: ((warning: ModelWarning) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const LOAD_OPTIONS: Kinds<LoadOptions> = {
  device: either(oneOf("auto", "cpu"), CUDA_NAME),
  threads: whole(1, 1024),
  fuse: either(flag, listOf(oneOf(...FUSIONS), `a list of ${FUSIONS.join(" and ")}`)),
  contextLength: whole(2),
  kvCache: KV_CACHE,
  mmap: flag,
  tokenizer: flag,
  batchSize: whole(1, 65536),
  quantize: oneOf(...QUANTIZATIONS),
  cache: flag,
  onCacheWrite: callback,
  slots: whole(1, 4096),
  cacheTokens: whole(2),
  slotTimeoutMs: real(0, Number.POSITIVE_INFINITY),
  onProgress: callback,
  onWarning: callback,
  signal: abortSignal,
};

const DEFAULT_SLOT_TIMEOUT_MS = 5000;

/**
 * Loads a checkpoint. Weights are mapped, checked by name, dtype and shape, and read as they are first used.
 *
 * @param pathOrName a folder in the published layout (a path or a file URL), a name, or nothing for the embedded storyteller.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED, ERR_TOKENIZER_INVALID,
 *   ERR_OUT_OF_MEMORY, ERR_DEVICE_UNAVAILABLE, ERR_USAGE, ERR_ABORTED.
 */
export async function loadModel(
  pathOrName?: string | URL,
  options?: LoadOptions & { readonly tokenizer?: true | undefined },
): Promise<ModelWithTokenizer>;
export async function loadModel(pathOrName: string | URL | undefined, options: LoadOptions | undefined): Promise<Model>;
export async function loadModel(pathOrName?: string | URL, given?: LoadOptions): Promise<Model> {
  const options = readOptions<LoadOptions>("loadModel", given, LOAD_OPTIONS);
  if (options.signal?.aborted) throw abortedError(options.signal);
  const { warnings, warn } = collectWarnings(options.onWarning);
  const dir = wholeModelFolder(pathOrName, warn);
  return inCheckpoint(dir, () => loadFolder(dir, options, { warnings, warn }));
}

async function loadFolder(
  dir: string,
  options: LoadOptions,
  { warnings, warn }: ReturnType<typeof collectWarnings>,
): Promise<Model> {
  const { threads, mmap = true, cache = true, signal } = options;
  const { batchSize = DEFAULT_BATCH_SIZE, slotTimeoutMs = DEFAULT_SLOT_TIMEOUT_MS } = options;
  const config = await readConfig(dir, warn);
  const [checkpoint, generationConfig, tokenizer, chatTemplate, eosTokens] = await Promise.all([
    openCheckpoint(dir, warn),
    readGenerationConfig(dir, config, warn),
    options.tokenizer === false ? undefined : loadTokenizer(dir, warn),
    options.tokenizer === false ? undefined : loadChatTemplate(dir, warn),
    options.tokenizer === false ? [] : readEosTokens(dir, warn),
  ]);
  const stopTokens = stopTokensOf({ config, generationConfig, eosTokens, tokenizer, chatTemplate }, warn);
  checkAsked(config, options);
  const found = await findTensors(config, checkpoint, warn, signal);
  const host = budgetNow();
  const fileBytes = checkpoint.files.reduce((sum, file) => sum + file.size, 0);
  const device = openDevice({ device: options.device, threads, fuse: options.fuse });
  const own = device.ownMemory();
  const budget = own === undefined ? host : ownBudget(own);
  const explained = (error: unknown) => {
    if (own !== undefined && isQuipuError(error) && error.option !== undefined) return error; // of the host's memory
    return withFitting(error, () => whatFits({ config, found, fileBytes }, options, budget));
  };
  try {
    const free = Math.max(0, Math.min(budget.memory, budget.addressSpace - fileBytes));
    if (own === undefined) checkFree(config, options, free);
    else checkRoom(planLoad(config, found, options, own), own); // before anything is copied to it
    const { quantize, onCacheWrite, onProgress } = options;
    const how = { found, mmap, quantize, threads, cache, warn, onCacheWrite, onProgress, signal };
    const loaded = await loadWeights(device, checkpoint, config, how);
    const shape =
      own === undefined
        ? chooseShape(config, options, free)
        : planLoad(config, found, options, device.ownMemory()! + loaded.bytes).shape; // what the weights have left
    const runtime = await Runtime.create(device, config, loaded.weights, shape);
    return new Model({
      device,
      runtime,
      loaded,
      config,
      generationConfig,
      tokenizer,
      chatTemplate,
      stopTokens,
      kvCache: shape.type,
      scheduler: new Scheduler(runtime, { batchSize, slotTimeoutMs, explained }),
      warnings,
    });
  } catch (error) {
    await device.dispose();
    throw explained(error);
  }
}

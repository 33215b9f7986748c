// What a checkpoint is, from its headers. Weights are not read, but for a stored head beside a config that ties it: it counts
// only where it differs from the embedding.
import { basename, join } from "node:path";
import { type Kinds, readOptions, whole } from "../arguments.js";
import { loadChatTemplate } from "../chat/template-files.js";
import { openCheckpoint } from "../checkpoint/checkpoint.js";
import { examine } from "../checkpoint/file.js";
import { inCheckpoint } from "../checkpoint/hub.js";
import type { TensorInfo } from "../checkpoint/safetensors.js";
import { PlannedDevice } from "../device/planned-device.js";
import { isQuipuError } from "../errors.js";
import { type LlamaConfig, readConfig } from "../model/config.js";
import { type GenerationConfig, readGenerationConfig } from "../model/generation-config.js";
import { bytesPerPosition, type KvCacheType } from "../model/kv-cache.js";
import { findTensors } from "../model/tensors.js";
import { planWeights, type WeightFormat } from "../model/weights.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import { readEosTokens } from "../tokenizer/tokenizer-config.js";
import { collectWarnings, type ModelWarning } from "../warnings.js";
import { wholeModelFolder } from "./model-folder.js";
import { KV_CACHE } from "./option-kinds.js";
import { type StopToken, stopTokensOf } from "./stop-tokens.js";

export interface InspectOptions {
  /** Default: what the model supports. */
  readonly contextLength?: number | undefined;
  /** Default "f16". */
  readonly kvCache?: KvCacheType | undefined;
}

export const INSPECT_OPTIONS: Kinds<InspectOptions> = { contextLength: whole(2), kvCache: KV_CACHE };

export interface ModelReport {
  readonly dir: string;
  readonly config: LlamaConfig;
  readonly generationConfig: GenerationConfig;
  /** Whether the head is the embedding, or a tensor of its own. */
  readonly head: "tied" | "stored";
  /** Of the tensors that the model computes with, as in ModelStats; so are `memory.weightBytes`. */
  readonly parameters: number;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** What the matrices of the model are stored in, most bytes first, and bits a weight, as in ModelStats. */
  readonly formats: readonly WeightFormat[];
  readonly bitsPerWeight: number;
  /** Of all tensors in the files, also those that the model leaves out; so is `tensors`. */
  readonly dtypes: readonly { readonly dtype: string; readonly tensors: number; readonly bytes: number }[];
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly file: string;
  }[];
  /** The tokenizer's file, or "none". */
  readonly tokenizer: string;
  /** What ends a completion; without texts where the tokenizer cannot be used. */
  readonly stopTokens: readonly StopToken[];
  /** What running it takes, in bytes, beside the arena of a step. */
  readonly memory: {
    readonly weightBytes: number;
    /** That a decoded token reads. */
    readonly weightBytesPerToken: number;
    readonly contextLength: number;
    readonly kvCache: KvCacheType;
    readonly cacheBytes: number;
    readonly cacheBytesPerPosition: number;
  };
  /** What in the files is ignored, was chosen among two, or cannot be used. */
  readonly warnings: readonly ModelWarning[];
}

/**
 * Describes a checkpoint, checked as {@link loadModel} checks it.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED, ERR_USAGE.
 */
export async function inspectModel(pathOrName?: string | URL, options?: InspectOptions): Promise<ModelReport> {
  const { contextLength, kvCache = "f16" } = readOptions<InspectOptions>("inspectModel", options, INSPECT_OPTIONS);
  const { warnings, warn } = collectWarnings();
  const dir = wholeModelFolder(pathOrName, warn);
  return inCheckpoint(dir, () => inspectFolder(dir, contextLength, kvCache, { warnings, warn }));
}

async function inspectFolder(
  dir: string,
  contextLength: number | undefined,
  kvCache: KvCacheType,
  { warnings, warn }: ReturnType<typeof collectWarnings>,
): Promise<ModelReport> {
  const config = await readConfig(dir, warn);
  const [checkpoint, generationConfig] = await Promise.all([
    openCheckpoint(dir, warn),
    readGenerationConfig(dir, config, warn),
  ]);
  const found = await findTensors(config, checkpoint, warn);
  const tensors = [...checkpoint.tensors.values()];
  const { weights: _, ...counts } = planWeights(new PlannedDevice({ fuse: false }), config, found, "none");
  const bytesOf = (list: readonly TensorInfo[]) => list.reduce((sum, { bytes }) => sum + bytes, 0);
  const positions = Math.min(contextLength ?? config.maxPositions, config.maxPositions);
  const perPosition = bytesPerPosition(config, kvCache);
  const tokenizerFile = ["tokenizer.json", "tokenizer.model"].find(
    (name) => examine(join(dir, name), "ERR_TOKENIZER_INVALID").kind !== "absent",
  );
  const refuseTokenizer = (why: string) => {
    if (tokenizerFile !== undefined) warn("WARN_TOKENIZER_UNUSABLE", `the tokenizer cannot be used: ${why}`);
  };
  const refuseTemplate = (why: string) => warn("WARN_CHAT_TEMPLATE_UNUSABLE", `a chat template cannot be used: ${why}`);
  const [tokenizer, chatTemplate, eosTokens] = await Promise.all([
    usable(loadTokenizer(dir, warn), refuseTokenizer),
    usable(loadChatTemplate(dir, warn), refuseTemplate),
    usable(readEosTokens(dir, warn), (why) => warn("WARN_TOKENIZER_UNUSABLE", `the end of text is not known: ${why}`)),
  ]);
  for (const { message } of chatTemplate?.problems() ?? []) refuseTemplate(message);
  const stopTokens = stopTokensOf(
    { config, generationConfig, eosTokens: eosTokens ?? [], tokenizer, chatTemplate },
    warn,
  );
  return {
    dir,
    config,
    generationConfig,
    head: found.head,
    parameters: counts.parameters,
    formats: counts.formats,
    bitsPerWeight: (8 * counts.bytes) / counts.parameters,
    files: checkpoint.files.map(({ path, size }) => ({ name: basename(path), bytes: size })),
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))].map((dtype) => {
      const same = tensors.filter((tensor) => tensor.dtype === dtype);
      return { dtype, tensors: same.length, bytes: bytesOf(same) };
    }),
    tensors: tensors.map(({ name, dtype, shape, fileName }) => ({ name, dtype, shape, file: fileName })),
    tokenizer: tokenizerFile ?? "none",
    stopTokens,
    memory: {
      weightBytes: counts.bytes,
      weightBytesPerToken: counts.bytesPerToken,
      contextLength: positions,
      kvCache,
      cacheBytes: positions * perPosition,
      cacheBytesPerPosition: perPosition,
    },
    warnings,
  };
}

/** Undefined where the files cannot be used, once `refuse` is told why. */
async function usable<T>(loading: Promise<T>, refuse: (why: string) => void): Promise<T | undefined> {
  try {
    return await loading;
  } catch (error) {
    if (!isQuipuError(error)) throw error;
    refuse(error.message);
    return undefined;
  }
}

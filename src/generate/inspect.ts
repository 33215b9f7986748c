// What a checkpoint is, from its headers alone: no weight is read.
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { readOptions } from "../arguments.js";
import { openCheckpoint } from "../checkpoint/checkpoint.js";
import { type LlamaConfig, readConfig } from "../model/config.js";
import { type GenerationConfig, readGenerationConfig } from "../model/generation-config.js";
import { bytesPerPosition, type KvCacheType } from "../model/kv-cache.js";
import { checkTensors } from "../model/tensors.js";
import { loadChatTemplate } from "../tokenizer/template-files.js";
import { loadTokenizer } from "../tokenizer/tokenizer.js";
import { modelFolder } from "./model-folder.js";
import { INSPECT_OPTIONS } from "./option-kinds.js";
import { readStopTokens, type StopTokens } from "./stop-tokens.js";

export interface InspectOptions {
  /** Default: what the model supports. */
  readonly contextLength?: number | undefined;
  /** Default "f16". */
  readonly kvCache?: KvCacheType | undefined;
}

export interface ModelReport {
  readonly dir: string;
  readonly config: LlamaConfig;
  readonly generationConfig: GenerationConfig;
  readonly parameters: number;
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
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
  readonly stopTokens: StopTokens;
  /** What running it takes, in bytes, beside the arena of a step. */
  readonly memory: {
    readonly weightBytes: number;
    readonly contextLength: number;
    readonly kvCache: KvCacheType;
    readonly cacheBytes: number;
    readonly cacheBytesPerPosition: number;
  };
}

const ELEMENT_BYTES: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

/**
 * Describes a checkpoint, checked as {@link loadModel} checks it.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED, ERR_TOKENIZER_INVALID, ERR_USAGE.
 */
export async function inspectModel(pathOrName?: string | URL, options?: InspectOptions): Promise<ModelReport> {
  const { contextLength, kvCache = "f16" } = readOptions<InspectOptions>("inspectModel", options, INSPECT_OPTIONS);
  const dir = modelFolder(pathOrName);
  const config = await readConfig(dir);
  const [checkpoint, generationConfig] = await Promise.all([openCheckpoint(dir), readGenerationConfig(dir, config)]);
  checkTensors(config, checkpoint);
  const tensors = [...checkpoint.tensors.values()].map(({ name, dtype, shape, fileName }) => {
    const elements = shape.reduce((product, dim) => product * dim, 1);
    return { name, dtype, shape, file: fileName, elements, bytes: elements * (ELEMENT_BYTES[dtype] ?? 0) };
  });
  const total = (list: typeof tensors, what: "elements" | "bytes") =>
    list.reduce((sum, tensor) => sum + tensor[what], 0);
  const positions = Math.min(contextLength ?? config.maxPositions, config.maxPositions);
  const perPosition = bytesPerPosition(config, kvCache);
  const tokenizerFile = ["tokenizer.json", "tokenizer.model"].find((name) => existsSync(join(dir, name)));
  return {
    dir,
    config,
    generationConfig,
    parameters: total(tensors, "elements"),
    files: checkpoint.files.map(({ path, size }) => ({ name: basename(path), bytes: size })),
    dtypes: [...new Set(tensors.map(({ dtype }) => dtype))].map((dtype) => {
      const same = tensors.filter((tensor) => tensor.dtype === dtype);
      return { dtype, tensors: same.length, bytes: total(same, "bytes") };
    }),
    tensors: tensors.map(({ name, dtype, shape, file }) => ({ name, dtype, shape, file })),
    tokenizer: tokenizerFile ?? "none",
    stopTokens: await readStopTokens(dir, {
      ...{ config, generationConfig },
      // What is wrong with these is said where they are used: the shapes can be inspected without them.
      tokenizer: await loadTokenizer(dir).catch(() => undefined),
      chatTemplate: await loadChatTemplate(dir).catch(() => undefined),
    }),
    memory: {
      weightBytes: total(tensors, "bytes"),
      contextLength: positions,
      kvCache,
      cacheBytes: positions * perPosition,
      cacheBytesPerPosition: perPosition,
    },
  };
}

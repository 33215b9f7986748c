// loadModel: a checkpoint folder, or a name, to something that answers. The command line uses nothing below this.

import { availableMemory } from "../addon/process-limits.js";
import { idsOf, readOptions, wrongArgument } from "../arguments.js";
import { type Checkpoint, openCheckpoint } from "../checkpoint/checkpoint.js";
import { type Device, openDevice } from "../device/device.js";
import { abortedError, QuipuError } from "../errors.js";
import { type LlamaConfig, readConfig } from "../model/config.js";
import { type GenerationConfig, readGenerationConfig } from "../model/generation-config.js";
import { bytesPerPosition, type KvCacheType } from "../model/kv-cache.js";
import { Runtime } from "../model/runtime.js";
import { disposeWeights, type LoadedWeights, loadWeights } from "../model/weights.js";
import type { ChatTemplate } from "../tokenizer/chat-template.js";
import { loadChatTemplate } from "../tokenizer/template-files.js";
import { loadTokenizer, type Tokenizer } from "../tokenizer/tokenizer.js";
import { readEosTokens } from "../tokenizer/tokenizer-config.js";
import type { ModelWarning, Warn } from "../warnings.js";
import type { EffectiveSettings, GenerateEvent, GenerateOptions, Prompt, TokenLogprob } from "./events.js";
import { Holding, rowsOf, runGeneration, withText } from "./generate.js";
import { modelFolder } from "./model-folder.js";
import { GENERATE_OPTIONS, LOAD_OPTIONS, LOGITS_OPTIONS, NEXT_OPTIONS } from "./option-kinds.js";
import { encodePrompt, fitPrompt } from "./prompt.js";
import { resolveBias, resolveSettings } from "./sampling.js";
import { SlotPool } from "./slot-pool.js";
import { resolveStopIds, type StopToken, stopTokensOf } from "./stop-tokens.js";

export interface LoadOptions {
  /** "auto" takes the best there is; in this version the CPU. */
  readonly device?: "auto" | "cpu" | "cuda" | undefined;
  /** Threads of the kernels; default: what the machine gives this process. */
  readonly threads?: number | undefined;
  /** Positions of a sequence; default: what the model supports, capped by half of the free memory. */
  readonly contextLength?: number | undefined;
  /** Storage of the KV cache; default "f16". */
  readonly kvCache?: KvCacheType | undefined;
  /** false reads the files whole in place of mapping them: for files that others may truncate. */
  readonly mmap?: boolean | undefined;
  /** false needs no tokenizer files: prompts are ids. */
  readonly tokenizer?: boolean | undefined;
  /** Rows of a prompt in one step; default 512. */
  readonly batchSize?: number | undefined;
  /** Quantized weights come with a later version: "none" is the only value. */
  readonly quantize?: "none" | undefined;
  /** Sequences that can be generated at once; more wait. Default 1. */
  readonly slots?: number | undefined;
  /**
   * Milliseconds that a request waits for a slot while nobody takes the events of the generations that hold them; then it fails
   * with ERR_BUSY. Default 5000; Infinity: it waits on.
   */
  readonly slotTimeoutMs?: number | undefined;
  /** Bytes of weight files opened so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Told of what in the files is ignored, or was chosen among two, as it is found; `Model.warnings` keeps all of them. */
  readonly onWarning?: ((warning: ModelWarning) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface NextOptions extends GenerateOptions {
  /** How many; default 10. */
  readonly top?: number | undefined;
}

export interface LogitsOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ModelStats {
  /** Parameters, and bytes of the weights in use. */
  readonly parameters: number;
  readonly weightBytes: number;
  /** Bytes of weights that a decoded token reads. */
  readonly weightBytesPerToken: number;
  /** Floating-point operations of the matrix products of one prompt row without logits, and of the logits of one row. */
  readonly flopsPerPromptToken: number;
  readonly flopsPerLogits: number;
  /** Bytes of the cache at full context, and of one position in it. */
  readonly cacheBytes: number;
  readonly cacheBytesPerPosition: number;
  /** Bytes of arena and kernel workspace held now. */
  readonly arenaBytes: number;
  readonly device: string;
  readonly target: string;
  readonly threads: number;
  /** Why they are fewer than were asked for, in a few words. */
  readonly threadsCut: string | undefined;
  readonly contextLength: number;
  readonly kvCache: KvCacheType;
}

const DEFAULT_BATCH_SIZE = 512;
const DEFAULT_SLOT_TIMEOUT_MS = 5000;
/** Rows of a step of logits(): more are no faster, and their logits would take hundreds of megabytes. */
const SCORED_ROWS = 64;

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
  const { threads, contextLength, kvCache = "f16", mmap = true, signal } = options;
  const { batchSize = DEFAULT_BATCH_SIZE, slots = 1, slotTimeoutMs = DEFAULT_SLOT_TIMEOUT_MS } = options;
  if (signal?.aborted) throw abortedError(signal);
  const warnings: ModelWarning[] = [];
  const warn: Warn = (code, message) => {
    warnings.push({ code, message });
    options.onWarning?.({ code, message });
  };
  const dir = modelFolder(pathOrName, warn);
  const config = await readConfig(dir, warn);
  const [checkpoint, generationConfig, tokenizer, chatTemplate, eosTokens] = await Promise.all([
    openCheckpoint(dir, warn),
    readGenerationConfig(dir, config, warn),
    options.tokenizer === false ? undefined : loadTokenizer(dir),
    options.tokenizer === false ? undefined : loadChatTemplate(dir),
    options.tokenizer === false ? [] : readEosTokens(dir),
  ]);
  const stopTokens = stopTokensOf({ config, generationConfig, eosTokens, tokenizer, chatTemplate }, warn);
  const positions = chooseContext(config, kvCache, slots, contextLength);
  if (!mmap) checkRoomForFiles(checkpoint);
  const device = openDevice({ device: options.device, threads });
  try {
    const { onProgress } = options;
    const loaded = await loadWeights(device, checkpoint, config, { mmap, warn, onProgress, signal });
    const runtime = await Runtime.create(device, config, loaded.weights, {
      slots,
      contextLength: positions,
      type: kvCache,
    });
    return new Model({
      device,
      runtime,
      loaded,
      config,
      generationConfig,
      tokenizer,
      chatTemplate,
      stopTokens,
      kvCache,
      batchSize,
      slots: new SlotPool(slots, slotTimeoutMs),
      warnings,
    });
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

interface ModelParts {
  readonly device: Device;
  readonly runtime: Runtime;
  readonly loaded: LoadedWeights;
  readonly config: LlamaConfig;
  readonly generationConfig: GenerationConfig;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  readonly stopTokens: readonly StopToken[];
  readonly kvCache: KvCacheType;
  readonly batchSize: number;
  readonly slots: SlotPool;
  readonly warnings: readonly ModelWarning[];
}

/** A generator that was forgotten and collected gives back what it holds. */
const FORGOTTEN = new FinalizationRegistry<Holding>((holding) => void holding.end());

/** What {@link loadModel} gives unless it is told to leave out the tokenizer. */
export type ModelWithTokenizer = Model & { readonly tokenizer: Tokenizer };

/** A loaded model. Dispose of it (or use `await using`) to give its memory back at once. */
export class Model {
  readonly config: LlamaConfig;
  readonly generationConfig: GenerationConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Undefined without a tokenizer; without names where the checkpoint has no template. */
  readonly chatTemplate: ChatTemplate | undefined;
  /** The tokens that end a completion, and what names them. */
  readonly stopTokens: readonly StopToken[];
  /** What in its files is ignored, or was chosen among two. */
  readonly warnings: readonly ModelWarning[];
  readonly #parts: ModelParts;
  #disposed: Promise<void> | undefined;

  /** Made by {@link loadModel}. */
  constructor(parts: ModelParts) {
    this.config = parts.config;
    this.generationConfig = parts.generationConfig;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    this.stopTokens = parts.stopTokens;
    this.warnings = parts.warnings;
    this.#parts = parts;
  }

  /**
   * Generates after `prompt`: a start event, token events, an end event. Leaving the loop early ends the generation, and so does
   * the collection of a generator that was forgotten. Where all slots are taken it waits for one: a loop inside the loop of
   * another generation needs `slots: 2`.
   *
   * @throws {QuipuError} ERR_USAGE, ERR_CONTEXT_OVERFLOW, ERR_NOT_A_NUMBER, ERR_CHAT_TEMPLATE, ERR_BUSY, ERR_DISPOSED; at the
   *   first event that is asked for.
   */
  generate(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<GenerateEvent, void, void> {
    const holding = new Holding();
    const events = this.#generate(prompt, options, holding);
    FORGOTTEN.register(events, holding);
    return events;
  }

  async *#generate(
    prompt: Prompt,
    given: GenerateOptions | undefined,
    holding: Holding,
  ): AsyncGenerator<GenerateEvent, void, void> {
    const { runtime, tokenizer, config, batchSize, generationConfig, slots } = this.#live();
    const options = readOptions<GenerateOptions>("generate", given, GENERATE_OPTIONS);
    const stopIds = resolveStopIds(options.stopIds ?? [], tokenizer, config.vocabSize);
    const settings = { ...resolveSettings(options, generationConfig), stopIds };
    const logitBias = resolveBias(options.logitBias, tokenizer, config.vocabSize);
    if (settings.stop.length > 0 && tokenizer === undefined) {
      throw new QuipuError("ERR_USAGE", "stop: stop texts need a tokenizer", { option: "stop" });
    }
    const whole = this.#encode(prompt, options);
    const ids = this.#fit(whole, 1, settings, options);
    const request = {
      ids,
      droppedTokens: whole.length - ids.length,
      warnings: this.warnings,
      settings,
      logitBias,
      eosIds: settings.ignoreEos ? [] : this.stopTokens.map(({ id }) => id),
      logprobs: options.logprobs ?? 0,
      batchSize,
      onPromptProgress: options.onPromptProgress,
      signal: options.signal,
    };
    yield* runGeneration(runtime, tokenizer, slots, request, holding);
  }

  /**
   * The ids that `prompt` stands for: templated or not, BOS once.
   *
   * @throws {QuipuError} ERR_USAGE, ERR_CHAT_TEMPLATE.
   */
  encode(prompt: Prompt, options?: GenerateOptions): Int32Array {
    return this.#encode(prompt, readOptions<GenerateOptions>("encode", options, GENERATE_OPTIONS));
  }

  #encode(prompt: Prompt, options: GenerateOptions): Int32Array {
    const { tokenizer, chatTemplate, config } = this.#parts;
    return encodePrompt(prompt, options, { tokenizer, chatTemplate, vocabSize: config.vocabSize });
  }

  /**
   * The `top` most likely next tokens after `prompt`, best first, under the model's own distribution.
   *
   * @throws {QuipuError} as {@link generate} does, ERR_ABORTED.
   */
  async next(prompt: Prompt, given?: NextOptions): Promise<TokenLogprob[]> {
    const { runtime, tokenizer, generationConfig, batchSize, config } = this.#live();
    const { top = 10, ...options } = readOptions<NextOptions>("next", given, NEXT_OPTIONS);
    if (top > config.vocabSize) throw wrongArgument("top", `at most the ${config.vocabSize} ids of the model`, top);
    const settings = {
      ...resolveSettings({ ...options, temperature: 0 }, generationConfig),
      maxTokens: 1,
      stopIds: [],
    };
    const ids = this.#fit(this.#encode(prompt, options), 0, settings, options);
    return this.#onSlot(options.signal, async (slot) => {
      await runtime.prepare(slot, { ...settings, logitBias: new Map() }, ids, [], options.signal);
      const rows = rowsOf(ids, slot);
      const last = Math.floor((rows.length - 1) / batchSize) * batchSize;
      for (let start = 0; start < last; start += batchSize) {
        await runtime.fill(rows.slice(start, start + batchSize), options.signal);
      }
      const [token] = await runtime.sample(rows.slice(last), [rows.length - last - 1], top, options.signal);
      return token!.best.map((entry) => withText(entry, tokenizer));
    });
  }

  /**
   * The logits after every id, for scoring and evaluation: row-major [ids.length, vocabSize].
   *
   * @throws {QuipuError} ERR_CONTEXT_OVERFLOW, ERR_USAGE, ERR_NOT_A_NUMBER, ERR_ABORTED, ERR_DISPOSED.
   */
  async logits(ids: Int32Array | readonly number[], given?: LogitsOptions): Promise<Float32Array> {
    const { runtime, config, batchSize } = this.#live();
    const { signal } = readOptions<LogitsOptions>("logits", given, LOGITS_OPTIONS);
    const checked = idsOf("ids", ids, config.vocabSize);
    if (checked.length === 0) throw wrongArgument("ids", "at least one id", ids);
    if (checked.length > runtime.contextLength) {
      throw new QuipuError(
        "ERR_CONTEXT_OVERFLOW",
        `logits of ${checked.length} ids: the context holds ${runtime.contextLength}`,
        { option: "contextLength" },
      );
    }
    const result = resultOf(checked.length, config.vocabSize);
    return this.#onSlot(signal, async (slot) => {
      const rows = rowsOf(checked, slot);
      const step = Math.min(batchSize, SCORED_ROWS);
      for (let start = 0; start < rows.length; start += step) {
        const chunk = rows.slice(start, start + step);
        const logits = await runtime.logits(chunk, [...chunk.keys()], signal);
        result.set(logits, start * config.vocabSize);
      }
      return result;
    });
  }

  stats(): ModelStats {
    const { device, runtime, loaded, config, kvCache } = this.#live();
    const { hiddenSize, heads, kvHeads, headSize, intermediateSize, layers, vocabSize } = config;
    const blockWeights = layers * hiddenSize * (2 * heads * headSize + 2 * kvHeads * headSize + 3 * intermediateSize);
    return {
      parameters: loaded.parameters,
      weightBytes: loaded.bytes,
      weightBytesPerToken: loaded.bytesPerToken,
      flopsPerPromptToken: 2 * blockWeights,
      flopsPerLogits: 2 * hiddenSize * vocabSize,
      cacheBytes: runtime.cache.bytes,
      cacheBytesPerPosition: bytesPerPosition(config, kvCache),
      arenaBytes: device.memory().arena,
      device: device.kind,
      target: device.target,
      threads: device.threads,
      threadsCut: device.threadsCut,
      contextLength: runtime.contextLength,
      kvCache,
    };
  }

  /** Ends what runs, with ERR_DISPOSED, and gives up weights, cache and threads. */
  dispose(): Promise<void> {
    this.#disposed ??= (async () => {
      const { device, runtime, loaded, slots } = this.#parts;
      slots.close();
      await device.dispose();
      runtime.dispose();
      disposeWeights(device, loaded.weights);
    })();
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Cuts a prompt, if asked to, so that `needed` more tokens fit behind it. */
  #fit(ids: Int32Array, needed: number, settings: EffectiveSettings, { onOverflow }: GenerateOptions): Int32Array {
    const { runtime, tokenizer, config } = this.#parts;
    const room = { contextLength: runtime.contextLength, supported: config.maxPositions, needed };
    return fitPrompt(ids, room, settings, onOverflow, tokenizer?.bosId ?? config.bosId);
  }

  async #onSlot<T>(signal: AbortSignal | undefined, body: (slot: number) => Promise<T>): Promise<T> {
    const lease = await this.#parts.slots.acquire(() => "next() or logits()", signal);
    try {
      return await body(lease.slot);
    } finally {
      lease.release();
    }
  }

  #live(): ModelParts {
    if (this.#disposed !== undefined) throw new QuipuError("ERR_DISPOSED", "the model is disposed");
    return this.#parts;
  }
}

/** The context that was asked for, or what the model supports within half of the free memory. */
function chooseContext(config: LlamaConfig, type: KvCacheType, slots: number, wanted: number | undefined): number {
  const position = bytesPerPosition(config, type) * slots;
  const free = availableMemory();
  if (wanted === undefined) {
    const fits = Math.floor(free / 2 / position);
    return Math.max(Math.min(config.maxPositions, 64), Math.min(config.maxPositions, fits));
  }
  if (wanted > config.maxPositions) {
    throw wrongArgument("contextLength", `a whole number from 2 to ${config.maxPositions}, as the model has`, wanted);
  }
  if (wanted * position <= free) return wanted;
  const fits = Math.max(2, Math.floor((0.9 * free) / position)); // what is free now may be less in a moment
  const smaller = (["f16", "int8"] as const).find((other) => wanted * bytesPerPosition(config, other) * slots <= free);
  throw new QuipuError(
    "ERR_OUT_OF_MEMORY",
    `a ${type} cache of ${wanted} positions needs ${mebibytes(wanted * position)}, ${mebibytes(free)} are free: ` +
      `${fits} positions would fit${smaller === undefined ? "" : `, and so would a cache of ${smaller}`}.`,
    { option: "contextLength" },
  );
}

/** Files that are read, not mapped, must fit into memory whole. */
function checkRoomForFiles({ files }: Checkpoint): void {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const free = availableMemory();
  if (bytes <= free) return;
  throw new QuipuError(
    "ERR_OUT_OF_MEMORY",
    `reading the weights whole needs ${mebibytes(bytes)}, ${mebibytes(free)} are free. Mapped, they need not fit.`,
    { option: "mmap" },
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

/** @throws {QuipuError} ERR_OUT_OF_MEMORY */
function resultOf(rows: number, vocabSize: number): Float32Array {
  try {
    return new Float32Array(rows * vocabSize);
  } catch (cause) {
    throw new QuipuError(
      "ERR_OUT_OF_MEMORY",
      `the logits of ${rows} ids need ${mebibytes(4 * rows * vocabSize)}: give fewer ids at once.`,
      { cause },
    );
  }
}

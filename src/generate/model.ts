/// <reference lib="esnext.disposable" preserve="true" />
// The line above goes into the declarations: [Symbol.asyncDispose] is in no lib that a target brings.

// A loaded model: generation, next tokens, logits.

import { constants } from "node:buffer";
import { abortSignal, idsOf, type Kinds, readOptions, whole, wrongArgument } from "../arguments.js";
import type { ChatTemplate } from "../chat/template.js";
import type { Device } from "../device/device.js";
import type { Fusion } from "../device/fusions.js";
import { QuipuError } from "../errors.js";
import { availableMemory } from "../machine/process-limits.js";
import type { LlamaConfig } from "../model/config.js";
import type { GenerationConfig } from "../model/generation-config.js";
import { bytesPerPosition, type KvCacheType } from "../model/kv-cache.js";
import type { PageCounts, PageKeeper } from "../model/page-pool.js";
import type { Runtime } from "../model/runtime.js";
import { disposeWeights, type LoadedWeights, type WeightFormat } from "../model/weights.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { ModelWarning } from "../warnings.js";
import { Conversation } from "./conversation.js";
import type { EffectiveSettings, GenerateEvent, GenerateOptions, Prompt, TokenLogprob } from "./events.js";
import { type Holding, holdingOf, runGeneration, withText } from "./generate.js";
import { GENERATE_OPTIONS } from "./option-kinds.js";
import { encodePrompt, fitPrompt, goesOnWithText } from "./prompt.js";
import { resolveBias, resolveSettings } from "./sampling.js";
import type { Scheduler } from "./scheduler.js";
import { type FittedPrompt, slidePrompt } from "./slide.js";
import { resolveStopIds, type StopToken } from "./stop-tokens.js";

export interface NextOptions extends GenerateOptions {
  /** How many; default 10. */
  readonly top?: number | undefined;
}

export const NEXT_OPTIONS: Kinds<NextOptions> = { ...GENERATE_OPTIONS, top: whole(1) };

export interface LogitsOptions {
  readonly signal?: AbortSignal | undefined;
}

export const LOGITS_OPTIONS: Kinds<LogitsOptions> = { signal: abortSignal };

export interface ModelStats {
  /** Of the weights in use, each counted once: a tied head is the embedding. As in ModelReport. */
  readonly parameters: number;
  readonly weightBytes: number;
  /** What the matrices are stored in, most bytes first; and 8 · weightBytes / parameters. */
  readonly formats: readonly WeightFormat[];
  readonly bitsPerWeight: number;
  /** Bytes of weights that a decoded token reads. */
  readonly weightBytesPerToken: number;
  /** Floating-point operations of the matrix products of one prompt row without logits, and of the logits of one row. */
  readonly flopsPerPromptToken: number;
  readonly flopsPerLogits: number;
  /** Bytes of the cache when all of it is in use, and of one position in it. */
  readonly cacheBytes: number;
  readonly cacheBytesPerPosition: number;
  /** Bytes of arena and kernel workspace held now. */
  readonly arenaBytes: number;
  readonly device: string;
  readonly target: string;
  /** Ops that are made one. */
  readonly fusions: readonly Fusion[];
  readonly threads: number;
  /** Why they are fewer than were asked for, in a few words. */
  readonly threadsCut: string | undefined;
  readonly contextLength: number;
  readonly kvCache: KvCacheType;
  /** Requests that are computed now, and those that wait for a slot or for room in the cache. */
  readonly running: number;
  readonly waiting: number;
  /** Pages of 64 positions of the cache: in use; of those, in use by two requests or more; kept for prompts to come; and free. */
  readonly pages: PageCounts;
  /** Mean rows of a step (a row is one token of one request) since the model was loaded. */
  readonly rowsPerStep: number;
  /** Of the time from one step to the next decode step, in the last seconds of decoding, the share in which the device had nothing to do. */
  readonly idleShare: number;
}

/** What {@link loadModel} makes a model of. */
export interface ModelParts {
  readonly device: Device;
  readonly runtime: Runtime;
  readonly loaded: LoadedWeights;
  readonly config: LlamaConfig;
  readonly generationConfig: GenerationConfig;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  readonly stopTokens: readonly StopToken[];
  readonly kvCache: KvCacheType;
  readonly scheduler: Scheduler;
  readonly warnings: readonly ModelWarning[];
}

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
   * the collection of a generator that was forgotten. Generations at the same time share the steps of the device; more than there are
   * slots wait in line.
   *
   * @throws {QuipuError} ERR_USAGE, ERR_CONTEXT_OVERFLOW, ERR_NOT_A_NUMBER, ERR_ALL_FORBIDDEN, ERR_CHAT_TEMPLATE,
   *   ERR_BUSY, ERR_DISPOSED; at the first event that is asked for.
   */
  generate(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<GenerateEvent, void, void> {
    return holdingOf((holding) => this.#generate(prompt, options, holding));
  }

  /**
   * A conversation: its generations keep their keys and values, so that each computes only what its prompt has after the one before.
   *
   * @throws {QuipuError} ERR_DISPOSED
   */
  conversation(): Conversation {
    const { scheduler } = this.#live();
    return new Conversation({
      generate: (...request) => this.#generate(...request),
      close: (keeper) => scheduler.closeKeeper(keeper),
    });
  }

  async *#generate(
    prompt: Prompt,
    given: GenerateOptions | undefined,
    holding: Holding,
    keeper?: PageKeeper,
  ): AsyncGenerator<GenerateEvent, void, void> {
    const { runtime, tokenizer, config, generationConfig, scheduler } = this.#live();
    const options = readOptions<GenerateOptions>("generate", given, GENERATE_OPTIONS);
    const stopIds = resolveStopIds(options.stopIds ?? [], tokenizer, config.vocabSize);
    const settings = { ...resolveSettings(options, generationConfig), stopIds };
    const logitBias = resolveBias(options.logitBias, tokenizer, config.vocabSize);
    if (settings.stop.length > 0 && tokenizer === undefined) {
      throw new QuipuError("ERR_USAGE", "stop: stop texts need a tokenizer", { option: "stop" });
    }
    const fitted = this.#fit(prompt, 1, settings, options);
    const { ids } = fitted;
    const request = {
      ...fitted,
      goesOn: goesOnWithText(prompt, options, ids, tokenizer),
      warnings: this.warnings,
      settings,
      logitBias,
      eosIds: settings.ignoreEos ? [] : this.stopTokens.map(({ id }) => id),
      logprobs: options.logprobs ?? 0,
      room: runtime.contextLength - ids.length,
      promptCache: options.promptCache ?? true,
      keeper,
      onPromptProgress: options.onPromptProgress,
      signal: options.signal,
    };
    yield* runGeneration(scheduler, tokenizer, request, holding);
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
    const { scheduler, tokenizer, generationConfig, config } = this.#live();
    const { top = 10, ...options } = readOptions<NextOptions>("next", given, NEXT_OPTIONS);
    if (top > config.vocabSize) throw wrongArgument("top", `at most the ${config.vocabSize} ids of the model`, top);
    const settings = {
      ...resolveSettings({ ...options, temperature: 0 }, generationConfig),
      maxTokens: 1,
      stopIds: [],
    };
    const { ids } = this.#fit(prompt, 0, settings, options);
    const sequence = scheduler.submit({
      ids,
      wanted: {
        ...{ settings: { ...settings, logitBias: new Map() }, maxTokens: 1, stopIds: [], best: top },
        promptCache: options.promptCache ?? true,
      },
      describe: () => "next()",
      signal: options.signal,
    });
    const token = await sequence.next();
    return token!.best.map((entry) => withText(entry, tokenizer));
  }

  /**
   * The logits after every id, for scoring and evaluation: row-major [ids.length, vocabSize].
   *
   * @throws {QuipuError} ERR_CONTEXT_OVERFLOW, ERR_USAGE, ERR_NOT_A_NUMBER, ERR_OUT_OF_MEMORY, ERR_ABORTED, ERR_DISPOSED.
   */
  async logits(ids: Int32Array | readonly number[], given?: LogitsOptions): Promise<Float32Array> {
    const { runtime, scheduler, config } = this.#live();
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
    const sequence = scheduler.submit({
      ids: checked,
      wanted: result,
      describe: () => "logits()",
      signal,
    });
    await sequence.next();
    return result;
  }

  stats(): ModelStats {
    const { device, runtime, loaded, config, kvCache, scheduler } = this.#live();
    const { hiddenSize, heads, kvHeads, headSize, intermediateSize, layers, vocabSize } = config;
    const blockWeights = layers * hiddenSize * (2 * heads * headSize + 2 * kvHeads * headSize + 3 * intermediateSize);
    return {
      parameters: loaded.parameters,
      weightBytes: loaded.bytes,
      formats: loaded.formats,
      bitsPerWeight: (8 * loaded.bytes) / loaded.parameters,
      weightBytesPerToken: loaded.bytesPerToken,
      flopsPerPromptToken: 2 * blockWeights,
      flopsPerLogits: 2 * hiddenSize * vocabSize,
      cacheBytes: runtime.cache.bytes,
      cacheBytesPerPosition: bytesPerPosition(config, kvCache),
      arenaBytes: device.memory().arena,
      device: device.kind,
      target: device.target,
      fusions: device.fusions,
      threads: device.threads,
      threadsCut: device.threadsCut,
      contextLength: runtime.contextLength,
      kvCache,
      ...scheduler.stats(),
    };
  }

  /** Cancels what runs, with ERR_DISPOSED, and releases weights, cache and threads. Idempotent. */
  dispose(): Promise<void> {
    this.#disposed ??= (async () => {
      const { device, runtime, loaded, scheduler } = this.#parts;
      scheduler.close();
      await device.dispose();
      runtime.dispose();
      disposeWeights(device, loaded.weights);
    })();
    return this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** The ids of a prompt, cut if asked to, so that `needed` more tokens fit behind it. */
  #fit(prompt: Prompt, needed: number, settings: EffectiveSettings, options: GenerateOptions): FittedPrompt {
    const { runtime, tokenizer, config } = this.#parts;
    const room = { contextLength: runtime.contextLength, supported: config.maxPositions, needed };
    const whole = this.#encode(prompt, options);
    if (options.onOverflow === "slide") {
      return slidePrompt(prompt, whole, (messages) => this.#encode(messages, options), room, settings, options);
    }
    const ids = fitPrompt(whole, room, settings, options.onOverflow, tokenizer?.bosId ?? config.bosId);
    return { ids, droppedTokens: whole.length - ids.length, droppedMessages: 0 };
  }

  #live(): ModelParts {
    if (this.#disposed !== undefined) throw new QuipuError("ERR_DISPOSED", "the model is disposed");
    return this.#parts;
  }
}

/** @throws {QuipuError} ERR_OUT_OF_MEMORY */
function resultOf(rows: number, vocabSize: number): Float32Array {
  try {
    return new Float32Array(rows * vocabSize);
  } catch (cause) {
    const [bytes, free] = [4 * rows * vocabSize, availableMemory()];
    const most = Math.min(constants.MAX_LENGTH, free, bytes - 1); // of a typed array, of this process, of what was refused
    throw new QuipuError(
      "ERR_OUT_OF_MEMORY",
      `the logits of ${rows} ids need ${Math.ceil(bytes / 2 ** 20)} MiB in one array, ${Math.ceil(free / 2 ** 20)} MiB are free.`,
      { cause, fitting: { ids: Math.max(1, Math.floor((0.9 * most) / 4 / vocabSize)) } },
    );
  }
}

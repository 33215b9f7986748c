// A model ready to run: weights, cache and programs on a device, ids in and ids out. What a text is, when to stop, how to
// sample and what a step holds belong to src/generate.
import type { Device, RunResult, Transfer } from "../device/device.js";
import { elementsOf } from "../device/tensor.js";
import { isQuipuError, QuipuError } from "../errors.js";
import type { LlamaConfig } from "./config.js";
import { KvCache, type KvCacheShape } from "./kv-cache.js";
import type { LlamaWeights } from "./llama.js";
import { type SamplingSettings, SlotState } from "./slot-state.js";
import { type SampleResults, type StepKind, type StepProgram, StepPrograms } from "./step-programs.js";
import type { Row } from "./step-writes.js";

export type { Row };

/** What `sample` picked for one wanted row. */
export interface SampledToken {
  readonly id: number;
  readonly logprob: number;
  /** The most likely ids that were asked for, best first. */
  readonly best: readonly { readonly id: number; readonly logprob: number }[];
}

/** What became of a wanted row: "ended" where its slot had, an error where its own logits are wrong (no numbers, or every id is forbidden). */
export type SampledRow = SampledToken | "ended" | QuipuError;

export interface StepOptions {
  /** Done before the step, also where that is not done: {@link Runtime.begin}. */
  readonly writes?: readonly Transfer[];
  readonly signal?: AbortSignal;
}

export interface Tap {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface RuntimeShape extends KvCacheShape {
  /** The most rows that a step may have. */
  readonly stepRows: number;
}

/** A step throws ERR_OUT_OF_MEMORY where its memory was refused: then nothing of it was done but its `writes`. */
export class Runtime {
  readonly device: Device;
  readonly config: LlamaConfig;
  readonly cache: KvCache;
  readonly contextLength: number;
  readonly #state: SlotState;
  readonly #programs: StepPrograms;

  private constructor(
    device: Device,
    config: LlamaConfig,
    weights: LlamaWeights,
    cache: KvCache,
    { contextLength, stepRows }: RuntimeShape,
  ) {
    this.device = device;
    this.config = config;
    this.cache = cache;
    this.contextLength = contextLength;
    this.#state = new SlotState(device, cache.slots, contextLength, config.vocabSize);
    this.#programs = new StepPrograms(device, config, weights, cache, this.#state, stepRows);
  }

  /** @throws {QuipuError} ERR_OUT_OF_MEMORY */
  static async create(
    device: Device,
    config: LlamaConfig,
    weights: LlamaWeights,
    shape: RuntimeShape,
  ): Promise<Runtime> {
    const cache = await KvCache.create(device, config, shape);
    return new Runtime(device, config, weights, cache, shape);
  }

  dispose(): void {
    this.#programs.dispose();
    this.#state.dispose();
    this.cache.dispose();
  }

  /**
   * What must be written before the first step of a sequence: the pages of its slot, and, unless only logits are wanted, how it samples
   * after `prompt` and the ids at which its decoding stops on the device.
   */
  begin(
    slot: number,
    pages: Int32Array,
    sampling?: {
      readonly settings: SamplingSettings;
      readonly prompt: Int32Array;
      readonly stopIds: readonly number[];
    },
  ): Transfer[] {
    const table = this.cache.table(slot, pages);
    if (sampling === undefined) return [table];
    return [table, ...this.#state.begin(slot, sampling.settings, sampling.prompt, sampling.stopIds)];
  }

  /** Fills the cache with `rows` and returns nothing but its times. Rows of a slot are adjacent, with ascending positions. */
  async fill(rows: readonly Row[], options?: StepOptions): Promise<RunResult> {
    const begun = this.#begin(options);
    return this.#run(this.#step("fill", rows, []), rows, [], options, begun);
  }

  /**
   * Fills the cache with `rows` and writes the logits of those named by `wanted`, [R, V], into `logits`.
   *
   * @throws {QuipuError} ERR_NOT_A_NUMBER where one is NaN or infinite.
   */
  async logits(
    rows: readonly Row[],
    wanted: readonly number[],
    logits: Float32Array,
    options?: StepOptions,
  ): Promise<RunResult> {
    const begun = this.#begin(options);
    const step = this.#step("logits", rows, wanted);
    const result = await this.#run(step, rows, wanted, options, begun, [[step.logits!, logits]]);
    const wrong = firstNotANumber(logits);
    if (wrong >= 0) {
      const { position } = rows[wanted[Math.floor(wrong / this.config.vocabSize)]!]!;
      throw new QuipuError(
        "ERR_NOT_A_NUMBER",
        `a logit is not a number (position ${position}): the checkpoint holds NaN or infinite weights, or its activations overflow`,
      );
    }
    return result;
  }

  /** Like {@link logits}, and every tap on the way: for finding the first layer that differs. */
  async taps(rows: readonly Row[], wanted: readonly number[], options?: StepOptions): Promise<Tap[]> {
    const begun = this.#begin(options);
    const step = this.#step("logits", rows, wanted, { taps: true });
    const counts = { rows: rows.length, wanted: wanted.length };
    const taps = step.taps.map(({ name, value, tensor }) => {
      const shape = value.leading === undefined ? value.shape : value.shape.with(0, counts[value.leading]);
      return { name, shape, tensor, data: new Float32Array(elementsOf(shape)) };
    });
    const reads = taps.map(({ tensor, data }) => [tensor, data] as const);
    await this.#run(step, rows, wanted, options, begun, reads);
    return taps.map(({ name, shape, data }) => ({ name, shape, data }));
  }

  /**
   * Fills the cache with `rows` and samples the token after each of `wanted`, with the settings of its slot; it is the slot's next row,
   * in a step that can be queued before it is known. `bests`: how many of the best ids to report, for each wanted row.
   */
  async sample(
    rows: readonly Row[],
    wanted: readonly number[],
    bests: readonly number[],
    options?: StepOptions,
  ): Promise<RunResult & { readonly sampled: readonly SampledRow[] }> {
    const begun = this.#begin(options);
    const most = Math.max(0, ...bests);
    const step = this.#step("sample", rows, wanted, { best: most });
    const { ids, logprobs, bestIds, bestLogprobs } = step.sampled!;
    const read = resultsFor(step, wanted.length);
    const reads: Transfer[] = [
      [ids, read.ids],
      [logprobs, read.logprobs],
    ];
    if (most > 0) reads.push([bestIds, read.bestIds], [bestLogprobs, read.bestLogprobs]);
    const result = await this.#run(step, rows, wanted, options, begun, reads, true);
    const sampled: SampledRow[] = [];
    for (let row = 0; row < wanted.length; row++) sampled.push(sampledRow(read, row, row * step.best, bests[row]!));
    for (const { row, error } of result.failures) sampled[row] = error;
    step.results.push(read);
    return Object.assign(result, { sampled });
  }

  #step(kind: StepKind, rows: readonly Row[], wanted: readonly number[], { best = 0, taps = false } = {}): StepProgram {
    for (const { position = 0 } of rows) {
      if (position >= this.contextLength) {
        throw new QuipuError("ERR_INTERNAL", `position ${position} is beyond the context of ${this.contextLength}`);
      }
    }
    return this.#programs.get({ kind, wanted: wanted.length, best, taps });
  }

  /**
   * Does the writes by themselves, and first of all: a step that is cancelled before it starts, or has no memory for its program, would
   * not do them, and the next one may have rows of the same slots.
   */
  #begin({ writes = [] }: StepOptions = {}): Promise<RunResult> | undefined {
    if (writes.length === 0) return undefined;
    const begun = this.device.run(null, { writes }).catch((cause: unknown) => {
      if (isQuipuError(cause) && cause.code !== "ERR_OUT_OF_MEMORY") throw cause;
      throw new QuipuError("ERR_INTERNAL", "what a sequence begins with was not written", { cause }); // and the step was done
    });
    begun.catch(() => {}); // heard by #run, where there is a step
    return begun;
  }

  async #run(
    step: StepProgram,
    rows: readonly Row[],
    wanted: readonly number[],
    { signal }: StepOptions = {},
    begun?: Promise<RunResult>,
    reads: readonly Transfer[] = [],
    byRow = false,
  ): Promise<RunResult> {
    const { transfers, contents } = step.writes.write(rows, wanted);
    const counts = { rows: rows.length, wanted: wanted.length };
    const result = await step.program.run({ writes: transfers, reads, byRow, signal, ...counts });
    step.writes.landed(contents);
    await begun;
    return result;
  }
}

/** Arrays for so many rows: of a run that is over, where that had as many. */
function resultsFor({ results, best }: StepProgram, wanted: number): SampleResults {
  const used = results.pop();
  if (used?.ids.length === wanted) return used;
  return {
    ids: new Int32Array(wanted),
    logprobs: new Float32Array(wanted),
    bestIds: new Int32Array(wanted * best),
    bestLogprobs: new Float32Array(wanted * best),
  };
}

/** With `best` alternatives, which begin at `first`. */
function sampledRow(
  { ids, logprobs, bestIds, bestLogprobs }: SampleResults,
  row: number,
  first: number,
  best: number,
): SampledRow {
  const id = ids[row]!;
  if (id < 0) return "ended";
  const alternatives: { id: number; logprob: number }[] = [];
  for (let i = first; i < first + best; i++) alternatives.push({ id: bestIds[i]!, logprob: bestLogprobs[i]! });
  return { id, logprob: logprobs[row]!, best: alternatives };
}

/**
 * Index of the first logit that is NaN or +∞ (a −∞ forbids an id), or −1. The device need not look for them: 64 rows of 128,256 logits,
 * the most of a step, take 5.5 ms here (Zen 5), their way into the array 1.5, and the products that they come from a hundred times that.
 */
function firstNotANumber(logits: Float32Array): number {
  for (let i = 0; i < logits.length; i++) {
    if (!(logits[i]! < Number.POSITIVE_INFINITY)) return i;
  }
  return -1;
}

// A model ready to run: weights, cache and programs on a device, ids in and ids out. What a text is, when to stop and how to
// sample belong to src/generate.
import type { Device, Transfer } from "../device/device.js";
import { elementsOf, type Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import type { LlamaConfig } from "./config.js";
import { KvCache, type KvCacheShape } from "./kv-cache.js";
import type { LlamaWeights } from "./llama.js";
import { SamplerState, type SamplingSettings } from "./sampler-state.js";
import { type StepKind, type StepProgram, StepPrograms, type StepShape } from "./step-programs.js";

/** One row of a step: this id, at this position of this slot's sequence. */
export interface Row {
  readonly id: number;
  readonly slot: number;
  readonly position: number;
}

/** What `sample` picked for one wanted row. */
export interface SampledToken {
  readonly id: number;
  readonly logprob: number;
  /** The most likely ids, best first. */
  readonly best: readonly { readonly id: number; readonly logprob: number }[];
}

/** What a wanted row has come to: a token, or why it alone has none. */
export type SampledRow = SampledToken | QuipuError;

/** @throws {QuipuError} where the row has none. */
export function tokenOf(row: SampledRow): SampledToken {
  if (row instanceof QuipuError) throw row;
  return row;
}

/** Decodes a slot a token at a time. Its program is its own until it is released. */
export interface Decoder {
  next(signal?: AbortSignal): Promise<SampledToken>;
  release(): void;
}

export interface Tap {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Steps of more rows than this are rounded up to a multiple of it with padding rows, so that few programs serve all prompts. */
const ROW_MULTIPLE = 8;

export class Runtime {
  readonly device: Device;
  readonly config: LlamaConfig;
  readonly cache: KvCache;
  readonly contextLength: number;
  readonly #sampler: SamplerState;
  readonly #programs: StepPrograms;

  private constructor(
    device: Device,
    config: LlamaConfig,
    weights: LlamaWeights,
    cache: KvCache,
    contextLength: number,
  ) {
    this.device = device;
    this.config = config;
    this.cache = cache;
    this.contextLength = contextLength;
    this.#sampler = new SamplerState(device, cache.slots, contextLength, config.vocabSize);
    this.#programs = new StepPrograms(device, config, weights, cache, this.#sampler);
  }

  /** @throws {QuipuError} ERR_OUT_OF_MEMORY */
  static async create(
    device: Device,
    config: LlamaConfig,
    weights: LlamaWeights,
    shape: KvCacheShape,
  ): Promise<Runtime> {
    const cache = await KvCache.create(device, config, shape);
    return new Runtime(device, config, weights, cache, shape.contextLength);
  }

  dispose(): void {
    this.#programs.dispose();
    this.#sampler.dispose();
    this.cache.dispose();
  }

  /** Fills the cache with `rows` and returns nothing. Rows of a slot are adjacent, with ascending positions. */
  async fill(rows: readonly Row[], signal?: AbortSignal): Promise<void> {
    const step = this.#programs.get(this.#shape("fill", rows, []));
    await step.program.run({ writes: inputsOf(step, rows, []), signal });
  }

  /**
   * Fills the cache with `rows` and returns the logits of those named by `outputRows`, [R, V].
   *
   * @throws {QuipuError} ERR_NOT_A_NUMBER where one is NaN or infinite, as sample() does.
   */
  async logits(rows: readonly Row[], outputRows: readonly number[], signal?: AbortSignal): Promise<Float32Array> {
    const step = this.#programs.get(this.#shape("logits", rows, outputRows));
    const result = new Float32Array(outputRows.length * this.config.vocabSize);
    await step.program.run({ writes: inputsOf(step, rows, outputRows), reads: [[step.logits!, result]], signal });
    const wrong = firstNotANumber(result);
    if (wrong >= 0) {
      const { position } = rows[outputRows[Math.floor(wrong / this.config.vocabSize)]!]!;
      throw new QuipuError(
        "ERR_NOT_A_NUMBER",
        `a logit is not a number (position ${position}): the checkpoint holds NaN or infinite weights, or its activations overflow`,
      );
    }
    return result;
  }

  /** Like {@link logits}, and every tap on the way: for finding the first layer that differs. */
  async taps(rows: readonly Row[], outputRows: readonly number[]): Promise<Tap[]> {
    const step = this.#programs.get(this.#shape("logits", rows, outputRows, { taps: true }));
    const taps = step.taps.map(({ name, tensor }) => {
      const [length, ...rest] = tensor.shape as [number, ...number[]];
      const shape = [Math.min(length, rows.length), ...rest]; // without padding rows
      return { name, shape, tensor, data: new Float32Array(elementsOf(shape)) };
    });
    await step.program.run({
      writes: inputsOf(step, rows, outputRows),
      reads: taps.map(({ tensor, data }) => [tensor, data]),
    });
    return taps.map(({ name, shape, data }) => ({ name, shape, data }));
  }

  /**
   * Fills the cache with `rows` and samples the token after each of `outputRows`, with the settings of its slot. A row whose
   * logits are no numbers has an ERR_NOT_A_NUMBER in its place, and leaves the others alone.
   */
  sample(
    rows: readonly Row[],
    outputRows: readonly number[],
    best: number,
    signal?: AbortSignal,
  ): Promise<SampledRow[]> {
    const step = this.#programs.get(this.#shape("sample", rows, outputRows, { best }));
    return runSampling(step, [...inputsOf(step, rows, outputRows), ...this.#historyOf(rows)], signal);
  }

  /**
   * Decodes one slot a token at a time. The first step takes `row`; every later one continues on the device with what the one
   * before has sampled, so it can be queued before that is known.
   */
  decoder(row: Row, best: number): Decoder {
    const { step, release } = this.#programs.lease(this.#shape("decode", [row], [0], { best, owner: row.slot }));
    let writes: Transfer[] = [...inputsOf(step, [row], [0]), ...this.#historyOf([row])];
    return {
      next: async (signal) => {
        const now = writes;
        writes = [];
        const [row] = await runSampling(step, now, signal);
        return tokenOf(row!);
      },
      release,
    };
  }

  /** Sets how `slot` samples after `prompt`, and the ids at which its decoding stops on the device. */
  async prepare(
    slot: number,
    settings: SamplingSettings,
    prompt: Int32Array,
    stopIds: readonly number[],
    signal?: AbortSignal,
  ): Promise<void> {
    await this.device.run(null, { writes: this.#sampler.settings(slot, settings, prompt, stopIds), signal });
  }

  /** The ids of `rows` where sampling looks for what a slot has said. */
  #historyOf(rows: readonly Row[]): Transfer[] {
    const { history } = this.#sampler;
    const starts = rows.flatMap(({ slot, position }, t) => {
      const before = rows[t - 1];
      return before?.slot === slot && before.position === position - 1 ? [] : [t];
    });
    return starts.map((start, i) => {
      const ids = Int32Array.from(rows.slice(start, starts[i + 1]), ({ id }) => id);
      const { slot, position } = rows[start]!;
      const offset = history.offset + 4 * (slot * this.contextLength + position);
      return [{ ...history, offset, shape: [ids.length] }, ids];
    });
  }

  #shape(
    kind: StepKind,
    rows: readonly Row[],
    outputRows: readonly number[],
    { best = 1, taps = false, owner = -1 } = {},
  ): StepShape {
    const padded = rows.length <= ROW_MULTIPLE ? rows.length : Math.ceil(rows.length / ROW_MULTIPLE) * ROW_MULTIPLE;
    for (const { position } of rows) {
      if (position >= this.contextLength) {
        throw new QuipuError("ERR_INTERNAL", `position ${position} is beyond the context of ${this.contextLength}`);
      }
    }
    return { kind, rows: padded, outputRows: outputRows.length, best, taps, owner };
  }
}

/** The step's inputs, with padding rows (slot −1) after `rows`. */
function inputsOf({ inputs }: StepProgram, rows: readonly Row[], outputRows: readonly number[]): Transfer[] {
  const [length] = inputs.ids.shape;
  const column = (pick: (row: Row) => number, padding: number) =>
    Int32Array.from({ length: length! }, (_, t) => (t < rows.length ? pick(rows[t]!) : padding));
  const writes: Transfer[] = [
    [inputs.ids, column((row) => row.id, 0)],
    [inputs.slots as Tensor, column((row) => row.slot, -1)],
    [inputs.positions, column((row) => row.position, -1)],
  ];
  return inputs.outputRows === undefined ? writes : [...writes, [inputs.outputRows, Int32Array.from(outputRows)]];
}

/** Index of the first logit that is NaN or +∞ (a −∞ forbids an id), or −1. */
function firstNotANumber(logits: Float32Array): number {
  for (let i = 0; i < logits.length; i++) {
    if (!(logits[i]! < Number.POSITIVE_INFINITY)) return i;
  }
  return -1;
}

async function runSampling(
  { program, sampled }: StepProgram,
  writes: Transfer[],
  signal: AbortSignal | undefined,
): Promise<SampledRow[]> {
  const { ids, logprobs, bestIds, bestLogprobs } = sampled!;
  const [rows, best] = bestIds.shape as [number, number];
  const read = {
    ids: new Int32Array(rows),
    logprobs: new Float32Array(rows),
    bestIds: new Int32Array(rows * best),
    bestLogprobs: new Float32Array(rows * best),
  };
  const failures = await program.run({
    writes,
    reads: [
      [ids, read.ids],
      [logprobs, read.logprobs],
      [bestIds, read.bestIds],
      [bestLogprobs, read.bestLogprobs],
    ],
    byRow: true,
    signal,
  });
  const result = Array.from(
    read.ids,
    (id, row): SampledRow => ({
      id,
      logprob: read.logprobs[row]!,
      best: Array.from({ length: best }, (_, i) => ({
        id: read.bestIds[row * best + i]!,
        logprob: read.bestLogprobs[row * best + i]!,
      })),
    }),
  );
  for (const { row, error } of failures) result[row] = error;
  return result;
}

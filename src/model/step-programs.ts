// The programs of a model, keyed by the shape of the step: recorded when first needed, kept while they are used.
import type { Device } from "../device/device.js";
import type { Tensor } from "../device/tensor.js";
import { compile, type Program } from "../graph/program.js";
import { Recorder, type Sampled } from "../graph/recorder.js";
import type { Value } from "../graph/recording.js";
import type { LlamaConfig } from "./config.js";
import type { KvCache } from "./kv-cache.js";
import { type LlamaWeights, recordEmbedding, recordLayers, recordLogits } from "./llama.js";
import type { SlotState } from "./slot-state.js";

/** What a step ends with: "fill" only fills the cache, "logits" and "sample" serve the wanted rows. */
export type StepKind = "fill" | "logits" | "sample";

export interface StepShape {
  readonly kind: StepKind;
  /** T: rows in the step. */
  readonly rows: number;
  /** R: rows whose logits are wanted; 0 for "fill". */
  readonly outputRows: number;
  /** How many of the best ids to report. */
  readonly best: number;
  /** Keep the taps of the recording as outputs. */
  readonly taps: boolean;
}

/** What `sample` gives, on the host: by wanted row, and the best by row and rank. */
export interface SampleResults {
  readonly ids: Int32Array;
  readonly logprobs: Float32Array;
  readonly bestIds: Int32Array;
  readonly bestLogprobs: Float32Array;
}

export interface StepProgram {
  readonly program: Program;
  /** What the host writes: ids, slots and positions of the rows, and which rows are wanted (none for "fill"). */
  readonly inputs: readonly Tensor[];
  /** What it has written last, in the same order; undefined where that may not have reached the device. */
  written: readonly Int32Array[] | undefined;
  /** Of the last run: aborted, it may have ended that before it wrote. */
  writer: AbortSignal | undefined;
  /** [R, V], for "logits". */
  readonly logits: Tensor | undefined;
  /** For "sample". */
  readonly sampled: Readonly<Record<keyof Sampled, Tensor>> | undefined;
  /** Arrays of runs that are over, for others: made anew for each, they cost a tenth of a small model's step. */
  readonly results: SampleResults[];
  readonly taps: readonly { readonly name: string; readonly tensor: Tensor }[];
  /** Tensors of its own, beside its outputs. */
  readonly own: readonly Tensor[];
}

// Chunks of prompts, steps of some sequences and many, with both numbers of alternatives, and some for scoring.
const MAX_PROGRAMS = 24;

export class StepPrograms {
  readonly #programs = new Map<string, StepProgram>();
  #last: { readonly key: string; readonly step: StepProgram } | undefined; // the same as in most steps before
  readonly #device: Device;
  readonly #config: LlamaConfig;
  readonly #weights: LlamaWeights;
  readonly #cache: KvCache;
  readonly #state: SlotState;

  constructor(device: Device, config: LlamaConfig, weights: LlamaWeights, cache: KvCache, state: SlotState) {
    this.#device = device;
    this.#config = config;
    this.#weights = weights;
    this.#cache = cache;
    this.#state = state;
  }

  /** The program of this shape, for one run that is queued at once: a later call may let it go. */
  get(shape: StepShape): StepProgram {
    const { kind, rows, outputRows, best, taps } = shape;
    const key = `${kind} ${rows} ${outputRows} ${best} ${taps}`;
    if (key === this.#last?.key) return this.#last.step;
    const step = this.#programs.get(key) ?? this.#record(shape);
    this.#last = { key, step };
    this.#programs.delete(key);
    this.#programs.set(key, step); // last in the order of use; the first makes room where there are many
    const [oldest] = this.#programs;
    if (this.#programs.size > MAX_PROGRAMS && oldest !== undefined) {
      this.#free(oldest[1]);
      this.#programs.delete(oldest[0]);
    }
    return step;
  }

  dispose(): void {
    for (const step of this.#programs.values()) this.#free(step);
    this.#programs.clear();
    this.#last = undefined;
  }

  #free({ program, own }: StepProgram): void {
    program.dispose();
    for (const tensor of own) this.#device.free(tensor);
  }

  #record(shape: StepShape): StepProgram {
    const own: Tensor[] = [];
    try {
      return this.#recordWith(own, shape);
    } catch (error) {
      for (const tensor of own) this.#device.free(tensor);
      throw error;
    }
  }

  #recordWith(own: Tensor[], { kind, rows, outputRows: wanted, best, taps }: StepShape): StepProgram {
    const { pageTable, slots: slotCount, layers } = this.#cache;
    const state = this.#state;
    const context = state.history.shape[1]!;
    const rowsOf = (name: string, length: number, bound = 0) => {
      const tensor = this.#device.allocate(name, "i32", [length], bound);
      own.push(tensor);
      return tensor;
    };
    const rowIds = rowsOf("rowIds", rows, this.#config.vocabSize);
    const rowSlots = rowsOf("rowSlots", rows, slotCount);
    const rowPositions = rowsOf("rowPositions", rows, context);
    const outputRows = wanted === 0 ? undefined : rowsOf("outputRows", wanted, rows);
    const inputs = [rowIds, rowSlots, rowPositions, ...(outputRows === undefined ? [] : [outputRows])];
    const r = new Recorder({ taps });
    const resumed = r.resume({
      ...{ rowIds, rowSlots, rowPositions, lastIds: state.lastIds, nextPositions: state.nextPositions },
      ids: rowsOf("ids", rows),
      slots: rowsOf("slots", rows, slotCount),
      positions: rowsOf("positions", rows, context),
    });
    const inputsOfLayers = { ...resumed, pageTable };
    const embedded = recordEmbedding(r, this.#weights, inputsOfLayers);
    const hidden = recordLayers(r, this.#config, this.#weights, layers, inputsOfLayers, embedded);
    let logits: Value | undefined;
    let sampled: Sampled | undefined;
    if (outputRows !== undefined) {
      logits = recordLogits(r, this.#config, this.#weights, hidden, outputRows);
      if (kind === "logits") r.output(logits);
      else {
        const { slots, positions } = resumed;
        sampled = r.sample(logits, { ...state, outputRows, slots, positions }, best);
        for (const value of Object.values(sampled)) r.output(value);
        r.advance(sampled.ids, { ...state, outputRows, slots, positions });
      }
    }
    const program = compile(this.#device, r.finish());
    return {
      program,
      inputs,
      written: undefined,
      writer: undefined,
      logits: kind === "logits" && logits ? program.output(logits) : undefined,
      sampled: sampled && {
        ids: program.output(sampled.ids),
        logprobs: program.output(sampled.logprobs),
        bestIds: program.output(sampled.bestIds),
        bestLogprobs: program.output(sampled.bestLogprobs),
      },
      results: [],
      taps: r.taps.map(({ name, value }) => ({ name, tensor: program.output(value) })),
      own,
    };
  }
}

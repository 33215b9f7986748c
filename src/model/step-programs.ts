// The programs of a model, by what a step ends with: each is recorded when first needed, for the most rows that a step may have,
// and serves every step with as many or fewer.
import type { ProgramDevice } from "../device/device.js";
import type { Tensor } from "../device/tensor.js";
import { compile, type Program } from "../graph/program.js";
import { Recorder, type Sampled } from "../graph/recorder.js";
import type { RowCount, RowCounts, Value } from "../graph/recording.js";
import type { LlamaConfig } from "./config.js";
import type { KvCache } from "./kv-cache.js";
import { type LlamaWeights, recordEmbedding, recordLayers, recordLogits } from "./llama.js";
import type { SlotState } from "./slot-state.js";
import { StepWrites } from "./step-writes.js";

/** What a step ends with: "fill" only fills the cache, "logits" and "sample" serve the wanted rows. */
export type StepKind = "fill" | "logits" | "sample";

export interface StepNeeds {
  readonly kind: StepKind;
  /** R: rows whose logits are wanted; 0 for "fill". */
  readonly wanted: number;
  /** How many of the best ids to report, for "sample". */
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
  readonly capacity: RowCounts;
  /** How many of the best ids it reports. */
  readonly best: number;
  readonly writes: StepWrites;
  /** [R, V], for "logits". */
  readonly logits: Tensor | undefined;
  /** For "sample". */
  readonly sampled: Readonly<Record<keyof Sampled, Tensor>> | undefined;
  /** Arrays of runs that are over, for others: made anew for each, they cost a tenth of a small model's step. */
  readonly results: SampleResults[];
  readonly taps: readonly { readonly name: string; readonly value: Value; readonly tensor: Tensor }[];
  /** Tensors of its own, beside its inputs and outputs. */
  readonly own: readonly Tensor[];
}

/** Numbers of best ids that programs are made for. Where more are asked for, one is made that grows. */
const BESTS = [1, 20];

export class StepPrograms {
  readonly #programs = new Map<string, StepProgram>();
  #last: { readonly key: string; readonly step: StepProgram } | undefined; // the same as in most steps before
  readonly #device: ProgramDevice;
  readonly #config: LlamaConfig;
  readonly #weights: LlamaWeights;
  readonly #cache: KvCache;
  readonly #state: SlotState;
  readonly #rows: number;

  /** `rows`: the most that a step may have. */
  constructor(
    device: ProgramDevice,
    config: LlamaConfig,
    weights: LlamaWeights,
    cache: KvCache,
    state: SlotState,
    rows: number,
  ) {
    this.#device = device;
    this.#config = config;
    this.#weights = weights;
    this.#cache = cache;
    this.#state = state;
    this.#rows = rows;
  }

  /** The program of such steps, for one run that is queued at once: a later call may put a larger one in its place. */
  get(needs: StepNeeds): StepProgram {
    const { kind, wanted, taps } = needs;
    const best = BESTS.find((count) => needs.best <= count) ?? "more";
    const key = `${kind} ${best} ${taps}`;
    const known = key === this.#last?.key ? this.#last.step : this.#programs.get(key);
    if (known !== undefined && wanted <= known.capacity.wanted && needs.best <= known.best) {
      if (known !== this.#last?.step) this.#last = { key, step: known };
      return known;
    }
    const step = this.#record({
      ...{ kind, taps },
      // A slot has one wanted row. Logits of all rows would take hundreds of megabytes.
      wanted: kind === "sample" ? this.#cache.slots : Math.min(powerOfTwo(wanted), this.#rows),
      best: Math.min(best === "more" ? powerOfTwo(needs.best) : best, this.#config.vocabSize),
    });
    if (known !== undefined) this.#free(known);
    this.#programs.set(key, step);
    this.#last = { key, step };
    return step;
  }

  dispose(): void {
    for (const step of this.#programs.values()) this.#free(step);
    this.#programs.clear();
    this.#last = undefined;
  }

  #free({ program, writes, own }: StepProgram): void {
    program.dispose();
    for (const tensor of [...writes.tensors, ...own]) this.#device.free(tensor);
  }

  #record(needs: StepNeeds): StepProgram {
    const made: Tensor[] = [];
    try {
      return this.#recordWith(made, needs);
    } catch (error) {
      for (const tensor of made) this.#device.free(tensor);
      throw error;
    }
  }

  /** All tensors that it makes are in `made`. */
  #recordWith(made: Tensor[], { kind, wanted, best, taps }: StepNeeds): StepProgram {
    const { pageTable, slots: slotCount, layers } = this.#cache;
    const state = this.#state;
    const context = state.history.shape[1]!;
    const capacity = { rows: this.#rows, wanted };
    const r = new Recorder({ taps, capacity });
    const rowsOf = (name: string, leading: RowCount, bound = 0) => {
      const tensor = this.#device.allocate(name, "i32", [capacity[leading]], bound);
      made.push(tensor);
      return r.input(tensor, leading);
    };
    const rowIds = rowsOf("rowIds", "rows", this.#config.vocabSize);
    const rowSlots = rowsOf("rowSlots", "rows", slotCount);
    const rowPositions = rowsOf("rowPositions", "rows", context);
    const outputRows = wanted === 0 ? undefined : rowsOf("outputRows", "wanted", capacity.rows);
    const writes = new StepWrites([...made]);
    const resumed = r.resume({
      ...{ rowIds, rowSlots, rowPositions, lastIds: state.lastIds, nextPositions: state.nextPositions },
      ids: rowsOf("ids", "rows"),
      slots: rowsOf("slots", "rows", slotCount),
      positions: rowsOf("positions", "rows", context),
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
      ...{ program, capacity, best, writes },
      logits: kind === "logits" && logits ? program.output(logits) : undefined,
      sampled: sampled && {
        ids: program.output(sampled.ids),
        logprobs: program.output(sampled.logprobs),
        bestIds: program.output(sampled.bestIds),
        bestLogprobs: program.output(sampled.bestLogprobs),
      },
      results: [],
      taps: r.taps.map(({ name, value }) => ({ name, value, tensor: program.output(value) })),
      own: made.slice(writes.tensors.length),
    };
  }
}

/** The least that is at least `count`; 0 stays. */
function powerOfTwo(count: number): number {
  return count === 0 ? 0 : 1 << (32 - Math.clz32(count - 1));
}

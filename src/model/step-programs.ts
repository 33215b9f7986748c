// The programs of a model, keyed by the shape of the step: recorded when first needed, kept while they are used.
import type { Device } from "../device/device.js";
import type { Tensor } from "../device/tensor.js";
import { compile, type Program } from "../graph/program.js";
import { Recorder, type Sampled } from "../graph/recorder.js";
import type { Value } from "../graph/recording.js";
import type { LlamaConfig } from "./config.js";
import type { KvCache } from "./kv-cache.js";
import { type LlamaWeights, recordEmbedding, recordLayers, recordLogits, type StepInputs } from "./llama.js";
import type { SamplerState } from "./sampler-state.js";

/** What a step ends with: "fill" only fills the cache, "logits" and "sample" serve the wanted rows, "decode" also makes what
 * it sampled the next step's input, so that the same program runs again without the host writing anything. */
export type StepKind = "fill" | "logits" | "sample" | "decode";

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
  /** Steps of one owner have their own inputs, so that "decode" steps of several slots do not meet. */
  readonly owner: number;
}

/** A step that continues on its inputs as the last run has left them: nobody else's until it is released. */
export interface StepLease {
  readonly step: StepProgram;
  release(): void;
}

export interface StepProgram {
  readonly program: Program;
  readonly inputs: StepInputs & { readonly outputRows: Tensor | undefined };
  /** [R, V], for "logits". */
  readonly logits: Tensor | undefined;
  /** For "sample" and "decode". */
  readonly sampled: Readonly<Record<keyof Sampled, Tensor>> | undefined;
  readonly taps: readonly { readonly name: string; readonly tensor: Tensor }[];
}

// Chunks of a prompt, a decode step for each of some slots, and some for verifying or scoring. Leased ones are not counted.
const MAX_PROGRAMS = 24;

export class StepPrograms {
  readonly #programs = new Map<string, StepProgram>();
  readonly #leased = new Set<StepProgram>();
  readonly #device: Device;
  readonly #config: LlamaConfig;
  readonly #weights: LlamaWeights;
  readonly #cache: KvCache;
  readonly #sampler: SamplerState;

  constructor(device: Device, config: LlamaConfig, weights: LlamaWeights, cache: KvCache, sampler: SamplerState) {
    this.#device = device;
    this.#config = config;
    this.#weights = weights;
    this.#cache = cache;
    this.#sampler = sampler;
  }

  /** The program of this shape, for one run that is queued at once: a later call may let it go. */
  get(shape: StepShape): StepProgram {
    const key = keyOf(shape);
    const step = this.#programs.get(key) ?? this.#record(shape);
    this.#keep(key, step);
    return step;
  }

  /** The program of this shape, kept from other users and from being let go. */
  lease(shape: StepShape): StepLease {
    const key = keyOf(shape);
    const step = this.#programs.get(key) ?? this.#record(shape);
    this.#programs.delete(key);
    this.#leased.add(step);
    return {
      step,
      release: () => {
        if (this.#leased.delete(step)) this.#keep(key, step);
      },
    };
  }

  dispose(): void {
    for (const step of [...this.#programs.values(), ...this.#leased]) this.#free(step);
    this.#programs.clear();
    this.#leased.clear();
  }

  /** Puts a step last in the order of use; the first makes room where there are many. */
  #keep(key: string, step: StepProgram): void {
    const same = this.#programs.get(key);
    if (same !== undefined && same !== step) this.#free(same);
    this.#programs.delete(key);
    this.#programs.set(key, step);
    const [oldest] = this.#programs.keys();
    if (this.#programs.size > MAX_PROGRAMS && oldest !== undefined) {
      this.#free(this.#programs.get(oldest)!);
      this.#programs.delete(oldest);
    }
  }

  #free({ program, inputs }: StepProgram): void {
    program.dispose();
    for (const tensor of [inputs.ids, inputs.slots, inputs.positions, inputs.outputRows]) {
      if (tensor !== undefined) this.#device.free(tensor as Tensor);
    }
  }

  #record({ kind, rows, outputRows, best, taps }: StepShape): StepProgram {
    const cache = this.#cache;
    const index = (name: string, length: number, bound: number) => this.#device.allocate(name, "i32", [length], bound);
    const inputs = {
      ids: index("ids", rows, this.#config.vocabSize),
      slots: index("slots", rows, cache.slots),
      positions: index("positions", rows, this.#sampler.history.shape[1]!),
      outputRows: outputRows === 0 ? undefined : index("outputRows", outputRows, rows),
      pageTable: cache.pageTable,
    };
    const r = new Recorder({ taps });
    const embedded = recordEmbedding(r, this.#weights, inputs);
    const hidden = recordLayers(r, this.#config, this.#weights, cache.layers, inputs, embedded);
    let logits: Value | undefined;
    let sampled: Sampled | undefined;
    if (kind !== "fill" && inputs.outputRows !== undefined) {
      logits = recordLogits(r, this.#config, this.#weights, hidden, inputs.outputRows);
      if (kind === "logits") r.output(logits);
      else sampled = this.#recordSample(r, kind, logits, { ...inputs, outputRows: inputs.outputRows }, best);
    }
    const program = compile(this.#device, r.finish());
    return {
      program,
      inputs,
      logits: kind === "logits" && logits ? program.output(logits) : undefined,
      sampled: sampled && {
        ids: program.output(sampled.ids),
        logprobs: program.output(sampled.logprobs),
        bestIds: program.output(sampled.bestIds),
        bestLogprobs: program.output(sampled.bestLogprobs),
      },
      taps: r.taps.map(({ name, value }) => ({ name, tensor: program.output(value) })),
    };
  }

  #recordSample(
    r: Recorder,
    kind: StepKind,
    logits: Value,
    inputs: StepInputs & { readonly outputRows: Tensor },
    best: number,
  ): Sampled {
    const sampled = r.sample(logits, { ...this.#sampler, ...inputs }, best);
    for (const value of Object.values(sampled)) r.output(value);
    if (kind === "decode")
      r.advance(sampled.ids, { ...inputs, stops: this.#sampler.stops, history: this.#sampler.history });
    return sampled;
  }
}

function keyOf(shape: StepShape): string {
  return Object.values(shape).join("/");
}

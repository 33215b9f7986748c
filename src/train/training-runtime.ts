// A model that learns: micro-batches in, losses out; gradients, moments and the guards against bad steps stay on the device.
import type { Device, Transfer } from "../device/device.js";
import { PlannedDevice } from "../device/planned-device.js";
import { elementsOf, type Shape, type Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { PAGE_KEYS } from "../graph/ops.js";
import { compile } from "../graph/program.js";
import { Recorder } from "../graph/recorder.js";
import type { Value } from "../graph/recording.js";
import { ADAMW_SETTINGS, CLIP_SETTINGS, MUON_SETTINGS } from "../graph/training-ops.js";
import type { LlamaConfig } from "../model/config.js";
import { wholePower } from "../model/elementary.js";
import type { LlamaWeights } from "../model/llama.js";
import { inverseFrequencies } from "../model/rope.js";
import { namedWeights } from "../model/weights.js";
import { NormalNumbers } from "./normal-numbers.js";
import type { Optimizer, Part } from "./parameters.js";
import { TrainingPrograms, type TrainingShape } from "./training-programs.js";

export interface TrainingOptions {
  /** Rows of a micro-batch, at least 1; one with fewer is padded. */
  readonly batchTokens: number;
  /** The most documents of a micro-batch. */
  readonly maxDocuments: number;
  /** Tokens of the longest document; default: batchTokens. */
  readonly contextLength?: number | undefined;
  /** Rows of logits that are there at once; default 256, or where the vocabulary is small as many as have 2²¹ logits. */
  readonly lossRows?: number | undefined;
  /** Activations of the layers are computed again for their gradients: less memory, about a third more time. Default false. */
  readonly recompute?: boolean | undefined;
  /** Default "adamw". */
  readonly optimizer?: Optimizer | undefined;
  /** Keeps a mean of the parameters, which {@link TrainingRuntime.average} adds to. Default false. */
  readonly averages?: boolean | undefined;
}

/** Rows of documents one after another: arrays of one length, at most `batchTokens`. */
export interface TrainingBatch {
  readonly ids: Int32Array;
  /** The id that comes after each row; −1: none, and no loss. */
  readonly targets: Int32Array;
  /** Of the rows' losses. */
  readonly weights: Float32Array;
  /** A number below maxDocuments of each document, whose rows are adjacent. */
  readonly slots: Int32Array;
  /** 0, 1, 2 … in each document. */
  readonly positions: Int32Array;
}

/** Sums over the rows of a micro-batch. */
export interface BatchLoss {
  /** Σ weight · −log p(target); NaN where a logit is none. */
  readonly loss: number;
  /** Σ weight, over the rows that have a target. */
  readonly weight: number;
}

export interface StepSettings {
  /** 1, 2, 3 …: how often the moments have been written with this step, which they are corrected by. */
  readonly step: number;
  readonly rate: number;
  /** The rate of the matrices that Muon has. Default: `rate`. */
  readonly muonRate?: number | undefined;
  /** Of matrices, a step: the rate · weightDecay. */
  readonly weightDecay: number;
  /** The greatest norm of the mean gradient; a longer one is scaled to it. Default 1; Infinity: none. */
  readonly clip?: number | undefined;
  /** The norm above which the step is left out. Default Infinity. */
  readonly skipAbove?: number | undefined;
}

export interface StepResult {
  /** The mean, by weight, of all micro-batches of the step. */
  readonly loss: number;
  /** The norm of the mean gradient, before it is clipped. */
  readonly gradientNorm: number;
  /** Whether parameters and moments were left as they are: the norm is no number, or above `skipAbove`. */
  readonly skipped: boolean;
}

/** Bytes of the device. */
export interface TrainingMemory {
  /** Numbers that learn. */
  readonly parameters: number;
  /** Parameters, gradients and moments, the cache, inputs. */
  readonly state: number;
  /** Activations of both halves, and what kernels work in. */
  readonly arena: number;
}

/** Of AdamW. */
const [BETA1, BETA2, EPSILON] = [0.9, 0.95, 1e-8] as const;
/** Of Muon's variance of rows. */
const [MUON_BETA, MUON_EPSILON] = [0.95, 1e-8] as const;
const INITIAL_DEVIATION = 0.02;

/** What training would take; nothing is allocated. @throws {QuipuError} ERR_DEVICE_UNAVAILABLE */
export function planTraining(
  config: LlamaConfig,
  options: TrainingOptions,
  on: { readonly threads?: number | undefined; readonly target?: string | undefined } = {},
): TrainingMemory {
  const device = new PlannedDevice(on);
  const { parameters } = new TrainingPrograms(device, config, shapeOf(options, config));
  return { parameters: parameters.count, ...device.memory() };
}

/** A model with parameters of 0: {@link TrainingRuntime.initialise} or load() comes next. @throws {QuipuError} ERR_OUT_OF_MEMORY */
export async function createTrainingRuntime(
  device: Device,
  config: LlamaConfig,
  options: TrainingOptions,
): Promise<TrainingRuntime> {
  const programs = new TrainingPrograms(device, config, shapeOf(options, config));
  try {
    const { state, weights, cache } = programs;
    const writes: Transfer[] = [
      [state.rows, Int32Array.from({ length: options.batchTokens }, (_, row) => row)],
      [weights.inverseFrequencies, inverseFrequencies(config.rope, config.headSize)],
      [cache.pageTable, new Int32Array(cache.slots * cache.blocks).fill(-1)],
    ];
    await device.run(null, { writes });
    return new TrainingRuntime(device, config, programs, options.batchTokens);
  } catch (error) {
    programs.dispose();
    throw error;
  }
}

/** Each chunk of the head adds to the gradients of all rows and of the embedding: the fewer the better, up to 8 MiB of logits. */
function defaultLossRows(vocabSize: number): number {
  return 256 * Math.max(1, Math.floor(2 ** 21 / (256 * vocabSize)));
}

function shapeOf(options: TrainingOptions, { vocabSize }: LlamaConfig): TrainingShape {
  const { batchTokens, maxDocuments, contextLength = batchTokens, recompute = false } = options;
  const { lossRows = defaultLossRows(vocabSize) } = options;
  const { optimizer = "adamw", averages = false } = options;
  return { batchTokens, maxDocuments, contextLength, lossRows, recompute, optimizer, averages };
}

/** Runs are done in the order in which they were asked for. */
export class TrainingRuntime {
  readonly device: Device;
  readonly config: LlamaConfig;
  readonly #programs: TrainingPrograms;
  readonly #batchTokens: number;
  /** Micro-batches since the last step. */
  #pending: Promise<BatchLoss>[] = [];

  /** Made by {@link createTrainingRuntime}. */
  constructor(device: Device, config: LlamaConfig, programs: TrainingPrograms, batchTokens: number) {
    this.device = device;
    this.config = config;
    this.#programs = programs;
    this.#batchTokens = batchTokens;
  }

  /** Of every parameter, by its Hugging Face name, in the order of the model. */
  get shapes(): ReadonlyMap<string, Shape> {
    return this.#programs.parameters.shapes;
  }

  /** The parameters as a model's weights, as they are when they are read. They go with the runtime. */
  get weights(): LlamaWeights {
    return this.#programs.weights;
  }

  /**
   * Draws parameters as Llama's are drawn: normal with a deviation of 0.02, of what a layer adds to its residuals 0.02 / √(2 layers), norms 1.
   * Moments and gradients are 0 then.
   */
  async initialise(seed: number): Promise<void> {
    const ofResidual = INITIAL_DEVIATION / Math.sqrt(2 * this.config.layers);
    let stream = 0;
    for (const [name, shape] of this.shapes) {
      const numbers = new NormalNumbers(seed, stream++);
      const deviation = /\.(o|down)_proj\./.test(name) ? ofResidual : INITIAL_DEVIATION;
      const data = new Float32Array(elementsOf(shape));
      await this.write(name, shape.length === 1 ? data.fill(1) : numbers.fill(data, deviation));
    }
    await this.#forget();
  }

  /**
   * Takes the weights of a model on the same device, widened exactly. Moments and gradients are 0 then.
   *
   * @throws {QuipuError} ERR_MODEL_INVALID where they are not those of the config.
   */
  async load(weights: LlamaWeights): Promise<void> {
    const named = namedWeights(weights);
    const rows = Math.max(...[...this.shapes.values()].map((shape) => (shape.length === 1 ? 1 : shape[0]!)));
    const ids = this.device.allocate("rows", "i32", [rows]);
    try {
      const r = new Recorder();
      const places = new Map<Value, Tensor>();
      for (const [name, shape] of this.shapes) {
        const source = named.get(name);
        if (source?.shape.join() !== shape.join() || named.size !== this.shapes.size)
          throw new QuipuError(
            "ERR_MODEL_INVALID",
            `the weights are not those of the model that learns: expected ${name} [${shape.join(", ")}] among ${this.shapes.size}, got ${
              source === undefined ? "none" : `[${source.shape.join(", ")}]`
            } among ${named.size}`,
          );
        const matrix = shape.length === 1 ? [1, ...shape] : shape;
        const taken = r.gatherRows({ ...source, shape: matrix }, { ...ids, shape: [matrix[0]!] });
        places.set(r.output(taken), { ...this.#programs.parameters.part(name, "parameter"), shape: matrix });
      }
      const program = compile(this.device, r.finish(), { passes: [], places });
      try {
        await program.run({ writes: [[ids, Int32Array.from({ length: rows }, (_, row) => row)]] });
      } finally {
        program.dispose();
      }
    } finally {
      this.device.free(ids);
    }
    await this.#forget();
  }

  /** Adds the gradients of a micro-batch's weighted losses to those of the step. @throws {QuipuError} ERR_INTERNAL for rows that are no documents. */
  accumulate(batch: TrainingBatch): Promise<BatchLoss> {
    const writes = this.#writesOf(batch);
    const weight = sumOver(batch, () => 1);
    const losses = new Float32Array(batch.ids.length);
    const run = this.#programs.accumulate.run({ writes, reads: [[this.#programs.state.losses, losses]] });
    const result = run.then(() => ({ loss: losses.reduce((sum, loss) => sum + loss, 0), weight }));
    result.catch(() => {}); // step() tells of it too
    this.#pending.push(result);
    return result;
  }

  /** Makes a step of what was accumulated since the last, and sets the gradients to 0. It waits for the micro-batches. */
  async step(settings: StepSettings): Promise<StepResult> {
    const pending = this.#pending;
    this.#pending = [];
    const batches = await Promise.all(pending);
    const loss = batches.reduce((sum, batch) => sum + batch.loss, 0);
    const weight = batches.reduce((sum, batch) => sum + batch.weight, 0);
    if (!(weight > 0))
      throw new QuipuError("ERR_INTERNAL", "a step of no losses: accumulate a micro-batch with targets first");
    const { state, step } = this.#programs;
    const { clip = 1, skipAbove = Number.POSITIVE_INFINITY } = settings;
    const adamW = (decay: number): Record<(typeof ADAMW_SETTINGS)[number], number> => ({
      ...{ rate: settings.rate, keep: 1 - settings.rate * decay, epsilon: EPSILON },
      ...{ beta1: BETA1, gain1: 1 - BETA1, correction1: 1 - wholePower(BETA1, settings.step) },
      ...{ beta2: BETA2, gain2: 1 - BETA2, correction2: 1 - wholePower(BETA2, settings.step) },
    });
    const limits: Record<(typeof CLIP_SETTINGS)[number], number> = {
      scale: 1 / weight,
      greatest: clip,
      limit: skipAbove,
    };
    const { muonRate = settings.rate } = settings;
    const muon: Record<(typeof MUON_SETTINGS)[number], number> = {
      ...{ rate: muonRate, keep: 1 - muonRate * settings.weightDecay, epsilon: MUON_EPSILON },
      ...{ beta: MUON_BETA, gain: 1 - MUON_BETA },
    };
    const writes: Transfer[] = [
      [state.clip, inOrder(CLIP_SETTINGS, limits)],
      [state.decayed, inOrder(ADAMW_SETTINGS, adamW(settings.weightDecay))],
      [state.undecayed, inOrder(ADAMW_SETTINGS, adamW(0))],
      [state.muon, inOrder(MUON_SETTINGS, muon)],
    ];
    const [norm, factor] = [new Float32Array(1), new Float32Array(1)];
    await step.run({
      writes,
      reads: [
        [state.norm, norm],
        [state.factor, factor],
      ],
    });
    return { loss: loss / weight, gradientNorm: norm[0]!, skipped: factor[0] === 0 };
  }

  /** Moves the mean of the parameters to what they are now, by a share of 0 to 1 of the way. */
  async average(share: number): Promise<void> {
    const { average, state } = this.#programs;
    if (average === undefined) throw new QuipuError("ERR_INTERNAL", "a mean of parameters: ask for one by `averages`");
    await average.run({ writes: [[state.share, Float32Array.of(share)]] });
  }

  /** The losses of a micro-batch, without gradients. */
  async evaluate(batch: TrainingBatch): Promise<BatchLoss> {
    const writes = this.#writesOf(batch);
    const weight = sumOver(batch, () => 1);
    const logprobs = new Float32Array(batch.ids.length);
    await this.#programs.evaluate.run({ writes, reads: [[this.#programs.state.losses, logprobs]] });
    return { loss: sumOver(batch, (row) => -logprobs[row]!), weight };
  }

  /** What there is of each parameter. */
  get parts(): readonly Part[] {
    return this.#programs.parameters.parts;
  }

  /** The shape of a part. */
  shapeOf(name: string, part: Part): Shape {
    return this.#programs.parameters.part(name, part).shape;
  }

  /** A parameter, or what there is of it beside. A vector's gradient is of its length. */
  async read(name: string, part: Part = "parameter"): Promise<Float32Array> {
    const tensor = this.#programs.parameters.part(name, part);
    const data = new Float32Array(elementsOf(tensor.shape));
    await this.device.run(null, { reads: [[tensor, data]] });
    return data;
  }

  async write(name: string, data: Float32Array, part: Part = "parameter"): Promise<void> {
    const tensor = this.#programs.parameters.part(name, part);
    if (data.length !== elementsOf(tensor.shape))
      throw new QuipuError(
        "ERR_INTERNAL",
        `${tensor.name}: expected ${elementsOf(tensor.shape)} numbers, got ${data.length}`,
      );
    await this.device.run(null, { writes: [[tensor, data]] });
  }

  dispose(): void {
    this.#programs.dispose();
  }

  async #forget(): Promise<void> {
    const { parameters } = this.#programs;
    for (const part of parameters.parts) {
      if (part === "parameter") continue;
      for (const name of this.shapes.keys()) {
        await this.write(name, new Float32Array(elementsOf(parameters.part(name, part).shape)), part);
      }
    }
  }

  #writesOf({ ids, targets, weights, slots, positions }: TrainingBatch): Transfer[] {
    const { state, cache } = this.#programs;
    this.#check({ ids, targets, weights, slots, positions });
    const padded = (rows: Int32Array) => {
      const all = new Int32Array(this.#batchTokens).fill(-1);
      all.set(rows);
      return all;
    };
    const allWeights = new Float32Array(this.#batchTokens);
    allWeights.set(weights);
    const table = new Int32Array(cache.slots * cache.blocks).fill(-1);
    let pages = 0;
    for (let row = 0; row < ids.length; row++) {
      const position = positions[row]!;
      if (position % PAGE_KEYS === 0) table[slots[row]! * cache.blocks + position / PAGE_KEYS] = pages++;
    }
    return [
      [state.ids, padded(ids)],
      [state.targets, padded(targets)],
      [state.weights, allWeights],
      [state.slots, padded(slots)],
      [state.positions, padded(positions)],
      [cache.pageTable, table],
    ];
  }

  /** What gradients of attention suppose: every document is there from its first token on, and once. */
  #check({ ids, targets, weights, slots, positions }: TrainingBatch): void {
    const { vocabSize } = this.config;
    const { cache } = this.#programs;
    const wrong = (row: number, why: string) => new QuipuError("ERR_INTERNAL", `row ${row} of a micro-batch: ${why}`);
    if (
      [targets, weights, slots, positions].some(({ length }) => length !== ids.length) ||
      ids.length > this.#batchTokens
    )
      throw wrong(0, `expected arrays of one length of at most ${this.#batchTokens}, got ${ids.length} ids`);
    const seen = new Set<number>();
    for (let row = 0; row < ids.length; row++) {
      const [id, target, slot, position] = [ids[row]!, targets[row]!, slots[row]!, positions[row]!];
      if (id < 0 || id >= vocabSize) throw wrong(row, `expected an id below ${vocabSize}, got ${id}`);
      if (target < -1 || target >= vocabSize)
        throw wrong(row, `expected a target below ${vocabSize} or −1, got ${target}`);
      const goesOn = row > 0 && slots[row - 1] === slot;
      const expected = goesOn ? positions[row - 1]! + 1 : 0;
      if (slot < 0 || slot >= cache.slots || (!goesOn && seen.has(slot)))
        throw wrong(row, `expected a slot below ${cache.slots}, the rows of one adjacent, got ${slot}`);
      if (position !== expected || position >= cache.blocks * PAGE_KEYS)
        throw wrong(row, `expected the position ${expected}, below ${cache.blocks * PAGE_KEYS}, got ${position}`);
      seen.add(slot);
    }
  }
}

/** Σ weight · of(row), over the rows that have a target. */
function sumOver({ targets, weights }: TrainingBatch, of: (row: number) => number): number {
  let sum = 0;
  for (let row = 0; row < targets.length; row++) if (targets[row]! >= 0) sum += weights[row]! * of(row);
  return sum;
}

function inOrder<Name extends string>(names: readonly Name[], values: Readonly<Record<Name, number>>): Float32Array {
  return Float32Array.from(names, (name) => values[name]);
}

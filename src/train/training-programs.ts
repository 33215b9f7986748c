// The programs that train a model: one adds the gradients of a micro-batch to what there is, one makes a step of them, one only
// measures losses, and one keeps a mean of the parameters. What changes from run to run, rates and the step's number included, is contents.
//
// A micro-batch is rows of documents one after another. A document is a slot whose positions begin at 0, so that documents do not see
// each other; rows without one have the slot −1. The head and its losses go through the rows in chunks, so that so many rows of logits
// are there at once.
import type { ProgramDevice } from "../device/device.js";
import { bytesOf, type Tensor } from "../device/tensor.js";
import { PAGE_KEYS } from "../graph/ops.js";
import { chainProducts } from "../graph/passes/chain-products.js";
import { differentiate } from "../graph/passes/differentiate.js";
import { fuse } from "../graph/passes/fuse.js";
import { compile, type Program } from "../graph/program.js";
import { Recorder } from "../graph/recorder.js";
import type { Value } from "../graph/recording.js";
import { ADAMW_SETTINGS, CLIP_SETTINGS, MUON_SETTINGS } from "../graph/training-ops.js";
import type { LlamaConfig } from "../model/config.js";
import { KvCache } from "../model/kv-cache.js";
import { type LlamaWeights, recordEmbedding, recordLayers, recordLogits } from "../model/llama.js";
import { weightsOf } from "../model/weights.js";
import { recordMuon } from "./muon.js";
import { type Optimizer, Parameters, type Part } from "./parameters.js";

export interface TrainingShape {
  /** Rows of a micro-batch, T. */
  readonly batchTokens: number;
  /** Documents of one: slots, S. */
  readonly maxDocuments: number;
  /** Tokens of the longest document. */
  readonly contextLength: number;
  /** Rows of logits that are there at once. */
  readonly lossRows: number;
  /** Computes the activations of the layers again in the backward half, in place of keeping them. */
  readonly recompute: boolean;
  readonly optimizer: Optimizer;
  /** Keeps a mean of the parameters. */
  readonly averages: boolean;
}

/** What a run is given, and where it leaves what it found. */
export interface TrainingState {
  readonly ids: Tensor; // [T]
  readonly targets: Tensor; // [T]
  readonly weights: Tensor; // [T]
  readonly slots: Tensor; // [T]
  readonly positions: Tensor; // [T]
  readonly rows: Tensor; // [T]: 0, 1, 2 …
  /** The weighted losses of a micro-batch, or the logprobs of its targets [T]. */
  readonly losses: Tensor;
  readonly clip: Tensor;
  /** AdamW's settings for matrices, and for norms, and Muon's. */
  readonly decayed: Tensor;
  readonly undecayed: Tensor;
  readonly muon: Tensor;
  /** What a parameter weighs in the mean of its values. */
  readonly share: Tensor;
  /** Of the last step: the norm of its gradients, and 0 where it was left out, [1] each. */
  readonly norm: Tensor;
  readonly factor: Tensor;
}

/** Made for a device, or for one that is only planned. */
export class TrainingPrograms {
  readonly parameters: Parameters;
  /** The parameters as a model, as they are now: what generates reads them. */
  readonly weights: LlamaWeights;
  readonly cache: KvCache;
  readonly state: TrainingState;
  readonly accumulate: Program;
  readonly evaluate: Program;
  readonly step: Program;
  /** Where a mean of the parameters is kept. */
  readonly average: Program | undefined;
  readonly #device: ProgramDevice;
  readonly #config: LlamaConfig;
  readonly #shape: TrainingShape;
  readonly #made: { dispose(): void }[] = [];

  /** @throws {QuipuError} ERR_OUT_OF_MEMORY */
  constructor(device: ProgramDevice, config: LlamaConfig, shape: TrainingShape) {
    this.#device = device;
    this.#config = config;
    this.#shape = shape;
    try {
      this.parameters = this.#keep(new Parameters(device, config, shape));
      this.weights = weightsOf(device, config, (name) => this.parameters.part(name, "parameter"));
      this.#own(this.weights.inverseFrequencies);
      const { batchTokens, maxDocuments, contextLength } = shape;
      // A document's last page may have one key, and there may be as many such pages as documents.
      const cacheTokens = batchTokens + maxDocuments * (PAGE_KEYS - 1);
      this.cache = this.#keep(
        new KvCache(device, config, { slots: maxDocuments, contextLength, cacheTokens, type: "f32" }),
      );
      this.state = this.#makeState();
      this.accumulate = this.#keep(this.#compileAccumulate());
      this.evaluate = this.#keep(this.#compileEvaluate());
      this.step = this.#keep(this.#compileStep());
      this.average = shape.averages ? this.#keep(this.#compileAverage()) : undefined;
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  dispose(): void {
    for (const made of this.#made.reverse()) made.dispose();
    this.#made.length = 0;
  }

  #keep<T extends { dispose(): void }>(made: T): T {
    this.#made.push(made);
    return made;
  }

  #own(tensor: Tensor): Tensor {
    this.#made.push({ dispose: () => this.#device.free(tensor) });
    return tensor;
  }

  #makeState(): TrainingState {
    const { batchTokens: T, maxDocuments } = this.#shape;
    const allocate = (name: string, dtype: "f32" | "i32", elements: number, bound = 0) =>
      this.#own(this.#device.allocate(name, dtype, [elements], bound));
    return {
      ids: allocate("ids", "i32", T),
      targets: allocate("targets", "i32", T),
      weights: allocate("weights", "f32", T),
      slots: allocate("slots", "i32", T, maxDocuments),
      positions: allocate("positions", "i32", T, this.cache.blocks * PAGE_KEYS),
      rows: allocate("rows", "i32", T),
      losses: allocate("losses", "f32", T),
      clip: allocate("clip", "f32", CLIP_SETTINGS.length),
      decayed: allocate("decayed", "f32", ADAMW_SETTINGS.length),
      undecayed: allocate("undecayed", "f32", ADAMW_SETTINGS.length),
      muon: allocate("muon", "f32", MUON_SETTINGS.length),
      share: allocate("share", "f32", 1),
      norm: allocate("norm", "f32", 1),
      factor: allocate("factor", "f32", 1),
    };
  }

  #compileAccumulate(): Program {
    const { targets, weights } = this.state;
    const r = new Recorder();
    const places = this.#recordLosses(r, (logits, part) => r.crossEntropy(logits, part(targets), part(weights)).losses);
    const named = [...this.parameters.shapes.keys()].map(
      (name) => [this.parameters.part(name, "parameter"), this.parameters.part(name, "gradient")] as const,
    );
    const recompute = (region: string) => this.#shape.recompute && region.startsWith("layers.");
    const differentiated = differentiate([...places.keys()], new Map(named), { recompute });
    const passes = [differentiated, chainProducts, fuse(this.#device.fusions)];
    return compile(this.#device, r.finish(), { passes, places });
  }

  #compileEvaluate(): Program {
    const r = new Recorder();
    const places = this.#recordLosses(r, (logits, part) => r.tokenLogprobs(logits, part(this.state.targets)));
    return compile(this.#device, r.finish(), { passes: [chainProducts, fuse(this.#device.fusions)], places });
  }

  /** Records the model, and chunk after chunk of rows what `record` makes of their logits: one number a row, with its place in `losses`. */
  #recordLosses(
    r: Recorder,
    record: (logits: Value, part: (tensor: Tensor) => Tensor) => Value,
  ): ReadonlyMap<Value, Tensor> {
    const { batchTokens, lossRows } = this.#shape;
    const { ids, slots, positions, rows, losses } = this.state;
    const step = { ids, slots, positions, pageTable: this.cache.pageTable };
    const embeddings = recordEmbedding(r, this.weights, step);
    const x = recordLayers(r, this.#config, this.weights, this.cache.layers, step, embeddings);
    const places = new Map<Value, Tensor>();
    for (let first = 0; first < batchTokens; first += lossRows) {
      const count = Math.min(lossRows, batchTokens - first);
      const part = (tensor: Tensor): Tensor => ({
        ...{ ...tensor, name: `${tensor.name} from ${first}` },
        ...{ offset: first * bytesOf(tensor.dtype, [1]), shape: [count] },
      });
      const logits = recordLogits(r, this.#config, this.weights, x, part(rows));
      places.set(r.output(record(logits, part)), part(losses));
    }
    return places;
  }

  #compileStep(): Program {
    const { clip, decayed, undecayed, muon, norm, factor } = this.state;
    const { parameters } = this;
    const r = new Recorder();
    const clipped = r.clipNorm(r.sumSquares(parameters.all.gradient), clip);
    const places = new Map([
      [r.output(clipped.norm), norm],
      [r.output(clipped.factor), factor],
    ]);
    const learn = (first: number, end: number, settings: Tensor) => {
      const range = (part: "parameter" | "gradient" | "momentum" | "variance") => parameters.range(part, first, end);
      r.adamW({
        ...{ parameter: range("parameter"), gradient: range("gradient") },
        ...{ momentum: range("momentum"), variance: range("variance"), factor: clipped.factor, settings },
      });
    };
    learn(0, parameters.matrixElements, decayed);
    learn(parameters.matrixElements, parameters.adamWElements, undecayed);
    for (const name of parameters.ofMuon) {
      const part = (of: Part) => parameters.part(name, of);
      const [parameter, gradient] = [part("parameter"), part("gradient")];
      const matrix = { parameter, gradient, momentum: part("momentum"), variance: part("variance") };
      recordMuon(r, matrix, clipped.factor, muon);
    }
    return compile(this.#device, r.finish(), { places });
  }

  #compileAverage(): Program {
    const { parameter, average } = this.parameters.all;
    const r = new Recorder();
    r.movingAverage({ value: parameter, average: average!, share: this.state.share });
    return compile(this.#device, r.finish());
  }
}

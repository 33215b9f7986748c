// A runtime whose model is small enough to compute here: the next id's logits are a row of a table, chosen by the id before it.
// AdamW and all sums are in f32, so that a run that goes on differently is another one bit by bit.
import type { RunParts } from "#quipu/train/run.js";
import type { StepSettings, TrainingBatch } from "#quipu/train/training-runtime.js";

const PARTS = ["parameter", "momentum", "variance", "average"] as const;
type Kind = (typeof PARTS)[number];

type Runtime = RunParts["runtime"];

export class FakeRuntime implements Runtime {
  readonly shapes;
  readonly parts = PARTS;
  readonly device = { target: "scalar", threads: 1 };
  readonly steps: StepSettings[] = [];
  readonly #vocabSize: number;
  readonly #state: Record<Kind, Float32Array>;
  readonly #gradient: Float32Array;
  #loss = 0;
  #weight = 0;
  /** What a step's gradient is multiplied by, by how many there were. */
  readonly spikes = new Map<number, number>();

  constructor(vocabSize: number) {
    this.#vocabSize = vocabSize;
    this.shapes = new Map([["table.weight", [vocabSize, vocabSize] as const]]);
    const zeros = () => new Float32Array(vocabSize ** 2);
    this.#state = { parameter: zeros(), momentum: zeros(), variance: zeros(), average: zeros() };
    this.#gradient = zeros();
  }

  shapeOf() {
    return this.shapes.get("table.weight")!;
  }

  async average(share: number): Promise<void> {
    const { parameter, average } = this.#state;
    for (let i = 0; i < average.length; i++) average[i]! += share * (parameter[i]! - average[i]!);
  }

  async initialise(seed: number): Promise<void> {
    this.#state.parameter.set(this.#state.parameter.map((_, i) => Math.sin(seed * 1000 + i) / 10));
  }

  async accumulate(batch: TrainingBatch): Promise<{ loss: number; weight: number }> {
    const result = this.#run(batch, true);
    this.#loss += result.loss;
    this.#weight += result.weight;
    return result;
  }

  async evaluate(batch: TrainingBatch): Promise<{ loss: number; weight: number }> {
    return this.#run(batch, false);
  }

  #run({ ids, targets }: TrainingBatch, learns: boolean): { loss: number; weight: number } {
    const V = this.#vocabSize;
    let loss = 0;
    for (let row = 0; row < ids.length; row++) {
      const from = ids[row]! * V;
      const logits = this.#state.parameter.subarray(from, from + V);
      const most = Math.max(...logits);
      const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
      loss += Math.log(sum) + most - logits[targets[row]!]!;
      if (!learns) continue;
      for (let v = 0; v < V; v++)
        this.#gradient[from + v]! += Math.exp(logits[v]! - most) / sum - (v === targets[row] ? 1 : 0);
    }
    return { loss, weight: ids.length };
  }

  async step(settings: StepSettings): Promise<{ loss: number; gradientNorm: number; skipped: boolean }> {
    this.steps.push(settings);
    const { step, rate, weightDecay, clip = 1, skipAbove = Number.POSITIVE_INFINITY } = settings;
    const { parameter, momentum, variance } = this.#state;
    const scale = (this.spikes.get(this.steps.length) ?? 1) / this.#weight;
    const gradientNorm = Math.sqrt(this.#gradient.reduce((sum, g) => sum + (scale * g) ** 2, 0));
    const loss = this.#loss / this.#weight;
    const skipped = !(gradientNorm <= skipAbove);
    const by = scale * Math.min(1, clip / gradientNorm);
    for (let i = 0; i < parameter.length && !skipped; i++) {
      const g = by * this.#gradient[i]!;
      momentum[i] = 0.9 * momentum[i]! + 0.1 * g;
      variance[i] = 0.95 * variance[i]! + 0.05 * g * g;
      const update = momentum[i]! / (1 - 0.9 ** step) / (Math.sqrt(variance[i]! / (1 - 0.95 ** step)) + 1e-8);
      parameter[i]! -= rate * (update + weightDecay * parameter[i]!);
    }
    this.#gradient.fill(0);
    this.#loss = this.#weight = 0;
    return { loss, gradientNorm, skipped };
  }

  async read(_: string, of: string = "parameter"): Promise<Float32Array> {
    return Float32Array.from(this.#state[of as Kind]);
  }

  async write(_: string, data: Float32Array, of: string = "parameter"): Promise<void> {
    this.#state[of as Kind].set(data);
  }
}

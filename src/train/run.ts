// The loop of a training: batches, steps, evaluations, checkpoints; all that a step needs is in the state of the one before it.
import { join } from "node:path";
import type { JsonObject } from "../checkpoint/json.js";
import type { TokenFile } from "../data/token-file.js";
import { elementsOf, type Shape } from "../device/tensor.js";
import { abortedError } from "../errors.js";
import type { Warn } from "../warnings.js";
import { BatchReader, type BatchShape, BEGINNING, evaluationBatches } from "./batches.js";
import { type SavedFiles, saveCheckpoint, saveModel, type TrainingState } from "./checkpoint.js";
import type { TrainingEvaluation, TrainingEvent, TrainingStep } from "./events.js";
import { Guard } from "./guard.js";
import { TrainingLog } from "./log.js";
import { type Length, microBatchesAt, progressOf, rateAt } from "./schedule.js";
import { TextBytes, type TextTokenizer } from "./text-bytes.js";
import type { TrainingSettings } from "./training-options.js";
import type { TrainingMemory, TrainingRuntime } from "./training-runtime.js";

type RuntimeMember =
  | ("shapes" | "parts" | "shapeOf" | "read" | "write")
  | ("accumulate" | "step" | "average" | "evaluate");

export interface RunParts {
  /** What is used of a {@link TrainingRuntime}. */
  readonly runtime: Pick<TrainingRuntime, RuntimeMember> & {
    readonly device: Pick<TrainingRuntime["device"], "target" | "threads">;
  };
  readonly memory: TrainingMemory;
  readonly data: TokenFile;
  readonly heldOut: TokenFile | undefined;
  readonly tokenizer: TextTokenizer;
  readonly files: SavedFiles;
  readonly settings: TrainingSettings;
  /** The settings as a checkpoint keeps them, with what tells the data. */
  readonly recorded: JsonObject;
  /** The folder of the run. */
  readonly output: string;
  readonly maxDocuments: number;
  readonly evaluateEvery: number | undefined;
  readonly evaluateTokens: number;
  readonly saveEvery: number | undefined;
  readonly keep: number;
  /** A text by the checkpoint in a folder; undefined where documents begin with nothing that one could begin with. */
  readonly sample: ((folder: string) => Promise<string>) | undefined;
  readonly warn: Warn;
  readonly signal: AbortSignal | undefined;
}

/** What a run leaves in its folder beside checkpoints. */
export const LOG = "log.jsonl";
export const MODEL = "model";

/** Steps left out one after another that end a run. */
const MOST_SKIPPED = 5;
/** Evaluations and checkpoints of a run, where nothing else is said. */
const PARTS = 20;
const LEAST_EVERY = 10;

/** Runs until the end, or until it is interrupted: then it saves and throws ERR_ABORTED. @param from a checkpoint's. */
export async function* run(parts: RunParts, from: TrainingState | undefined): AsyncGenerator<TrainingEvent> {
  const log = await TrainingLog.open(join(parts.output, LOG), from?.step ?? 0);
  try {
    for await (const event of new Loop(parts, from).events()) {
      if (event.type !== "start" && event.type !== "end") await log.write(event);
      yield event;
    }
  } finally {
    await log.close();
  }
}

class Loop {
  readonly #parts: RunParts;
  readonly #reader: BatchReader;
  readonly #shape: BatchShape;
  readonly #guard: Guard;
  readonly #textBytes: TextBytes;
  #step: number;
  #tokens: number;
  #longDocuments: number;
  #averaged: number;
  readonly #secondsBefore: number;
  #started = performance.now();
  #savedAt: number | undefined;

  constructor(parts: RunParts, from: TrainingState | undefined) {
    const { microBatch, sequence, seed } = parts.settings;
    this.#parts = parts;
    this.#shape = { batchTokens: microBatch, maxDocuments: parts.maxDocuments, sequence };
    this.#reader = new BatchReader(parts.data, this.#shape, seed, from?.position ?? BEGINNING);
    this.#guard = new Guard(MOST_SKIPPED, from?.guard);
    this.#textBytes = new TextBytes(parts.tokenizer);
    this.#step = from?.step ?? 0;
    this.#tokens = from?.tokens ?? 0;
    this.#longDocuments = from?.longDocuments ?? 0;
    this.#averaged = from?.averaged ?? 0;
    this.#secondsBefore = from?.seconds ?? 0;
    this.#savedAt = from?.step;
  }

  async *events(): AsyncGenerator<TrainingEvent> {
    const { runtime, data, settings, signal, output, files, memory } = this.#parts;
    const { documents, tokens } = data.info;
    const { target, threads } = runtime.device;
    const flopsPerToken = 6 * productWeights(runtime.shapes);
    yield { type: "start", ...memory, flopsPerToken, target, threads, documents, tokens, step: this.#step };
    this.#started = performance.now(); // whoever was told may have taken their time
    const every = defaultEvery(settings);
    const evaluateEvery = this.#parts.evaluateEvery ?? every;
    const saveEvery = this.#parts.saveEvery ?? evaluateEvery;
    if (signal?.aborted) throw abortedError(signal); // there is nothing to save
    const wasOver = this.#progress(settings.length) >= 1;
    while (this.#progress(settings.length) < 1) {
      const step = await this.#train();
      yield step;
      this.#guard.check(step);
      const isLast = this.#progress(settings.length) >= 1;
      if (isLast || this.#step % evaluateEvery === 0) {
        const evaluation = await this.#evaluate();
        if (evaluation !== undefined) yield evaluation;
      }
      if (isLast || this.#step % saveEvery === 0) yield* this.#save();
      if (isLast || !signal?.aborted) continue;
      yield* this.#save();
      throw abortedError(signal);
    }
    if (this.#averaged > 0) {
      await this.#takeAverage();
      const evaluation = await this.#evaluate();
      if (evaluation !== undefined) yield { ...evaluation, averaged: true };
    }
    const model = join(output, MODEL);
    await saveModel(model, runtime, files, wasOver);
    const [steps, seen, longDocuments] = [this.#step, this.#tokens, this.#longDocuments];
    yield { type: "end", steps, tokens: seen, seconds: this.#seconds(), longDocuments, model };
  }

  async #train(): Promise<TrainingStep> {
    const { runtime, settings, data } = this.#parts;
    const before = this.#progress(settings.length);
    const started = performance.now();
    const micro = microBatchesAt(settings.batch / settings.microBatch, settings.ramp, before);
    const accumulated: Promise<unknown>[] = [];
    let tokens = 0;
    for (let i = 0; i < micro; i++) {
      const { batch, counts } = await this.#reader.next();
      tokens += counts.tokens;
      this.#longDocuments += counts.longDocuments;
      const accumulating = runtime.accumulate(batch);
      accumulating.catch(() => {}); // it is met below
      accumulated.push(accumulating);
    }
    this.#step += 1;
    this.#tokens += tokens;
    const progress = this.#progress(settings.length);
    const { schedule, muonRate, weightDecay, clip } = settings;
    const rate = rateAt(schedule, progress);
    const stepping = runtime.step({
      step: this.#guard.state.steps + 1,
      rate,
      muonRate: rateAt({ ...schedule, rate: muonRate }, progress),
      weightDecay,
      clip,
      skipAbove: this.#guard.skipAbove,
    });
    stepping.catch(() => {});
    await Promise.all(accumulated);
    const result = await stepping;
    this.#guard.note(result);
    await this.#average(before, this.#progress(settings.length));
    const { epoch, document } = this.#reader.position;
    return {
      ...{ type: "step", step: this.#step, ...result, rate, tokens: this.#tokens },
      tokensPerSecond: (1000 * tokens) / (performance.now() - started),
      ...{ seconds: this.#seconds(), progress, epochs: epoch + document / data.info.documents },
    };
  }

  /** Adds the weights to their mean at the end of a run, whose memory of them fades with a quarter of that end. */
  async #average(before: number, progress: number): Promise<void> {
    const { average } = this.#parts.settings;
    if (progress <= 1 - average) return;
    this.#averaged = 1 + this.#averaged / (1 + (4 * (progress - before)) / average);
    await this.#parts.runtime.average(1 / this.#averaged);
  }

  /** Puts the mean in the parameters' place. */
  async #takeAverage(): Promise<void> {
    const { runtime } = this.#parts;
    for (const name of runtime.shapes.keys()) await runtime.write(name, await runtime.read(name, "average"));
  }

  async #evaluate(): Promise<TrainingEvaluation | undefined> {
    const { runtime, heldOut, evaluateTokens } = this.#parts;
    if (heldOut === undefined) return undefined;
    let [loss, weight, bytes] = [0, 0, 0];
    for await (const batch of evaluationBatches(heldOut, this.#shape, evaluateTokens)) {
      const result = await runtime.evaluate(batch);
      loss += result.loss;
      weight += result.weight;
      for (const [row, id] of batch.targets.entries()) bytes += this.#textBytes.of(id, batch.ids[row]!);
    }
    return { type: "evaluation", step: this.#step, loss: loss / weight, bitsPerByte: loss / Math.LN2 / bytes };
  }

  /** Saves, where that is not done yet, and takes a sample, where there is time for one. */
  async *#save(): AsyncGenerator<TrainingEvent> {
    if (this.#savedAt === this.#step) return;
    const { runtime, output, files, keep, recorded } = this.#parts;
    const path = await saveCheckpoint(output, runtime, files, this.#state(recorded), keep);
    this.#savedAt = this.#step;
    yield { type: "checkpoint", step: this.#step, path };
    const text = await this.#sample(path);
    if (text !== undefined) yield { type: "sample", step: this.#step, text };
  }

  /** A run does not end for want of a sample: what it learned is worth more. */
  async #sample(path: string): Promise<string | undefined> {
    const { sample, signal, warn } = this.#parts;
    if (sample === undefined || signal?.aborted) return undefined;
    try {
      return await sample(path);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!signal?.aborted) warn("WARN_SAMPLE_FAILED", `step ${this.#step}: no sample: ${why}`);
      return undefined;
    }
  }

  #state(settings: JsonObject): TrainingState {
    return {
      ...{ step: this.#step, tokens: this.#tokens, longDocuments: this.#longDocuments, seconds: this.#seconds() },
      ...{ position: this.#reader.position, guard: this.#guard.state, averaged: this.#averaged, settings },
    };
  }

  #seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#started) / 1000;
  }

  #progress(length: Length): number {
    return progressOf(length, { step: this.#step, tokens: this.#tokens, seconds: this.#seconds() });
  }
}

/** Weights that a token is multiplied by: those of matrices, of the embedding only where it is the head too. */
function productWeights(shapes: ReadonlyMap<string, Shape>): number {
  const isHeadApart = shapes.has("lm_head.weight");
  let sum = 0;
  for (const [name, shape] of shapes)
    if (shape.length === 2 && !(isHeadApart && name === "model.embed_tokens.weight")) sum += elementsOf(shape);
  return sum;
}

/** In steps. A run that is measured in seconds has as many as come in them: a hundred is a guess that suits small models. */
function defaultEvery({ length, batch }: TrainingSettings): number {
  const steps = "steps" in length ? length.steps : "tokens" in length ? length.tokens / batch : PARTS * 100;
  return Math.max(LEAST_EVERY, Math.ceil(steps / PARTS));
}

// Options of a training: what they may be, and what they are where they are not given.
import {
  abortSignal,
  checkArgument,
  flag,
  type Kinds,
  oneOf,
  path,
  pathOf,
  readOptions,
  real,
  usageError,
  whole,
} from "../arguments.js";
import { isJsonObject, type JsonObject } from "../checkpoint/json.js";
import { OPTIMIZERS, type Optimizer } from "./parameters.js";
import type { Length, Schedule, ScheduleKind } from "./schedule.js";

export interface TrainOptions {
  /** The token file to train on. */
  readonly data: string | URL;
  /** One to measure on; default: `corpus.held-out.tokens` beside `corpus.tokens`, where it is there. */
  readonly heldOut?: string | URL | undefined;
  /** The tokenizer that the data was packed with: a folder or a file; default: that of the checkpoint in `init`. */
  readonly tokenizer?: string | URL | undefined;
  /** What is trained: the name of a preset, a config.json, or a checkpoint folder to go on from. */
  readonly init: string | URL;
  /** The folder for checkpoints, log.jsonl and the model. */
  readonly output: string | URL;
  /** How long: exactly one of steps, tokens and seconds. */
  readonly steps?: number | undefined;
  readonly tokens?: number | undefined;
  readonly seconds?: number | undefined;
  /** Tokens of a step, a multiple of microBatch; default 8192. */
  readonly batch?: number | undefined;
  /** Tokens that are computed at once; default: batch, at most 4096. */
  readonly microBatch?: number | undefined;
  /** The longest document, at least 2; longer ones are split. Default 256, or microBatch where that is less. */
  readonly sequence?: number | undefined;
  /** Share of the run in which the tokens of a step grow from microBatch to batch; default 0. */
  readonly ramp?: number | undefined;
  /** The peak of the learning rate; default: the preset's, else 3e-4. */
  readonly rate?: number | undefined;
  /** "adamw"; "muon": Muon for the matrices of the layers, AdamW for embedding, head and norms. Default "adamw". */
  readonly optimizer?: Optimizer | undefined;
  /** The peak of Muon's rate; default 0.02. */
  readonly muonRate?: number | undefined;
  readonly schedule?: ScheduleKind | undefined;
  /** Shares of the run; default 0.02, 0.4. */
  readonly warmUp?: number | undefined;
  readonly coolDown?: number | undefined;
  /** Of matrices; default 0.1. */
  readonly weightDecay?: number | undefined;
  /** Share of the run, at its end, over which weights are averaged for the model, later ones weighing more; default 0: none are. */
  readonly average?: number | undefined;
  /** The greatest norm of a gradient; default 1. */
  readonly clip?: number | undefined;
  /** Of the first weights and the order of the documents, below 2³²; default 1. */
  readonly seed?: number | undefined;
  /** Steps from one evaluation to the next; default: a twentieth of the run, at least 10; of a run in seconds 100. */
  readonly evaluateEvery?: number | undefined;
  /** Tokens to measure on; default 100,000. */
  readonly evaluateTokens?: number | undefined;
  /** Steps from one checkpoint to the next; default: those of evaluateEvery. */
  readonly saveEvery?: number | undefined;
  /** Checkpoints that are kept; default 2. */
  readonly keep?: number | undefined;
  /** Activations are computed again in the backward half: less memory, a third more work. */
  readonly recompute?: boolean | undefined;
  readonly threads?: number | undefined;
  /** Goes on from the last checkpoint in `output`. */
  readonly resume?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_SEQUENCE = 256;
const DEFAULT_MUON_RATE = 0.02;
const MOST_AT_ONCE = 4096;
const MOST_TOKENS = 2 ** 24;
/** Of a micro-batch: its program has an op for every few hundred rows of logits. */
const MOST_ROWS = 2 ** 16;
const share = real(0, 1);

export const TRAIN_MODEL_OPTIONS: Kinds<TrainOptions> = {
  data: path,
  heldOut: path,
  tokenizer: path,
  init: path,
  output: path,
  steps: whole(1),
  tokens: whole(1),
  seconds: real(0, 1e9, true),
  batch: whole(2, MOST_TOKENS),
  microBatch: whole(2, MOST_ROWS),
  sequence: whole(2, MOST_ROWS),
  ramp: share,
  rate: real(0, 10, true),
  optimizer: oneOf(...OPTIMIZERS),
  muonRate: real(0, 10, true),
  schedule: oneOf("cosine", "linear"),
  warmUp: share,
  coolDown: real(0, 1, true),
  weightDecay: real(0, 10),
  average: share,
  clip: real(0, Number.POSITIVE_INFINITY, true),
  seed: whole(0, 2 ** 32 - 1),
  evaluateEvery: whole(1),
  evaluateTokens: whole(1),
  saveEvery: whole(1),
  keep: whole(1),
  recompute: flag,
  threads: whole(1, 1024),
  resume: flag,
  signal: abortSignal,
};

/** What decides the bits of a run, beside its data and its first weights. */
export interface TrainingSettings {
  readonly length: Length;
  readonly batch: number;
  readonly microBatch: number;
  readonly sequence: number;
  readonly ramp: number;
  readonly optimizer: Optimizer;
  /** `rate` is AdamW's. */
  readonly schedule: Schedule;
  /** The peak of Muon's rate. */
  readonly muonRate: number;
  readonly average: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly seed: number;
}

/** The options, checked, with paths as the file system takes them. */
export interface CheckedTrainOptions extends Omit<TrainOptions, "data" | "heldOut" | "tokenizer" | "init" | "output"> {
  readonly data: string;
  readonly heldOut: string | undefined;
  readonly tokenizer: string | undefined;
  readonly init: string;
  readonly output: string;
}

/** @throws {QuipuError} ERR_USAGE naming the option. */
export function trainOptions(given: TrainOptions): CheckedTrainOptions {
  const options = readOptions<TrainOptions>("trainModel", given, TRAIN_MODEL_OPTIONS);
  for (const name of ["data", "init", "output"] as const) checkArgument(name, options[name], TRAIN_MODEL_OPTIONS[name]);
  const optional = (name: "heldOut" | "tokenizer") => {
    const value = options[name];
    return value === undefined ? undefined : pathOf(name, value);
  };
  return {
    ...options,
    ...{
      data: pathOf("data", options.data),
      init: pathOf("init", options.init),
      output: pathOf("output", options.output),
    },
    ...{ heldOut: optional("heldOut"), tokenizer: optional("tokenizer") },
  };
}

/** @param rate of the preset. @throws {QuipuError} ERR_USAGE naming the option. */
export function trainingSettings(options: CheckedTrainOptions, rate = 3e-4): TrainingSettings {
  const { steps, tokens, seconds, batch = 8192, schedule = "cosine" } = options;
  const lengths = [steps, tokens, seconds].filter((length) => length !== undefined);
  if (lengths.length !== 1) {
    throw usageError(
      "steps",
      `expected one of steps, tokens and seconds, got ${lengths.length === 0 ? "none" : lengths.length}`,
    );
  }
  const microBatch = options.microBatch ?? partOf(batch);
  if (batch % microBatch !== 0) {
    throw usageError(
      "microBatch",
      `expected a part of batch (${batch}) that goes into it without rest, got ${microBatch}`,
    );
  }
  const sequence = options.sequence ?? Math.min(DEFAULT_SEQUENCE, options.microBatch ?? batch);
  if (options.microBatch === undefined && sequence > microBatch && sequence <= batch) {
    throw usageError(
      "microBatch",
      `the largest part of batch (${batch}) up to ${MOST_AT_ONCE} is ${microBatch}, and a sequence has ${sequence}: name a larger one, or another batch`,
    );
  }
  if (sequence > microBatch)
    throw usageError("sequence", `expected at most microBatch (${microBatch}), got ${sequence}`);
  const { warmUp = 0.02, coolDown = 0.4, optimizer = "adamw" } = options;
  if (optimizer !== "muon" && options.muonRate !== undefined)
    throw usageError("muonRate", `Muon's rate, and the optimizer is ${optimizer}`);
  return {
    length: steps !== undefined ? { steps } : tokens !== undefined ? { tokens } : { seconds: seconds! },
    ...{ batch, microBatch, sequence, ramp: options.ramp ?? 0 },
    schedule: { kind: schedule, rate: options.rate ?? rate, warmUp, coolDown },
    ...{ optimizer, muonRate: options.muonRate ?? DEFAULT_MUON_RATE, average: options.average ?? 0 },
    ...{ weightDecay: options.weightDecay ?? 0.1, clip: options.clip ?? 1, seed: options.seed ?? 1 },
  };
}

/** The most tokens, up to 4096, that go into `batch` without rest. */
function partOf(batch: number): number {
  let parts = Math.ceil(batch / MOST_AT_ONCE);
  while (batch % parts !== 0) parts += 1;
  return batch / parts;
}

/** A setting that is another than before, and the option that says it. */
export interface Difference {
  readonly option: string;
  readonly name: string;
  readonly was: string;
  readonly is: string;
}

/** The first in which settings of a checkpoint are not those of a run that is to go on from it. */
export function differenceOf(before: JsonObject, now: JsonObject, within = ""): Difference | undefined {
  for (const key of new Set([...Object.keys(now), ...Object.keys(before)])) {
    const [was, is, name] = [before[key], now[key], `${within}${key}`];
    if (isJsonObject(was) && isJsonObject(is)) {
      const difference = differenceOf(was, is, `${name}.`);
      if (difference !== undefined) return difference;
      continue;
    }
    const [said, saidNow] = [was, is].map((value) => JSON.stringify(value) ?? "nothing") as [string, string];
    if (said !== saidNow) return { option: optionOf(name), name, was: said, is: saidNow };
  }
  return undefined;
}

/** The option behind a setting's name: settings are named like theirs, but those of a part of the options are behind a dot. */
function optionOf(name: string): string {
  if (name.startsWith("model.")) return "init";
  if (name.startsWith("data.")) return "data";
  return name === "schedule.kind" ? "schedule" : (name.split(".").at(-1) as string);
}

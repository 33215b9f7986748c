// What the options of loadModel, of a model's methods and of their kin may be.
import {
  abortSignal,
  callback,
  either,
  flag,
  type Kind,
  type Kinds,
  listOf,
  nonEmptyString,
  oneOf,
  real,
  string,
  whole,
} from "../arguments.js";
import { CHAT_OPTIONS } from "../chat/option-kinds.js";
import type { BenchmarkOptions } from "./benchmark.js";
import type { GenerateOptions } from "./events.js";
import type { InspectOptions } from "./inspect.js";
import type { LoadOptions } from "./load.js";
import type { LogitsOptions, NextOptions } from "./model.js";

/** Most alternatives that `logprobs` can ask for. */
const MAX_LOGPROBS = 20;

const kvCache = oneOf("f32", "f16", "int8");

export const LOAD_OPTIONS: Kinds<LoadOptions> = {
  device: oneOf("auto", "cpu", "cuda"),
  threads: whole(1, 1024),
  contextLength: whole(2),
  kvCache,
  mmap: flag,
  tokenizer: flag,
  batchSize: whole(1, 65536),
  quantize: oneOf("none"),
  slots: whole(1, 4096),
  cacheTokens: whole(2),
  slotTimeoutMs: real(0, Number.POSITIVE_INFINITY),
  onProgress: callback,
  onWarning: callback,
  signal: abortSignal,
};

/** Its keys and values are checked one by one (sampling.ts). */
const biases: Kind = {
  expected: "a Map from ids or texts to numbers",
  accepts: (value) => Object.prototype.toString.call(value) === "[object Map]",
};

export const GENERATE_OPTIONS: Kinds<GenerateOptions> = {
  ...CHAT_OPTIONS,
  maxTokens: whole(-1),
  temperature: real(0, 100),
  topK: whole(0, 2 ** 31 - 1),
  topP: real(0, 1, true),
  minP: real(0, 1),
  repeatPenalty: real(0, 100, true),
  presencePenalty: real(-100, 100),
  frequencyPenalty: real(-100, 100),
  logitBias: biases,
  seed: whole(0),
  stop: listOf(nonEmptyString, "a list of texts that are not empty"),
  stopIds: listOf(either(whole(0), nonEmptyString), "a list of ids or texts of special tokens"),
  ignoreEos: flag,
  logprobs: whole(0, MAX_LOGPROBS),
  raw: flag,
  special: flag,
  system: string,
  onOverflow: oneOf("error", "truncate-head", "truncate-middle"),
  promptCache: flag,
  onPromptProgress: callback,
  signal: abortSignal,
};

export const NEXT_OPTIONS: Kinds<NextOptions> = { ...GENERATE_OPTIONS, top: whole(1) };

export const LOGITS_OPTIONS: Kinds<LogitsOptions> = { signal: abortSignal };

export const INSPECT_OPTIONS: Kinds<InspectOptions> = { contextLength: whole(2), kvCache };

/** Checked one by one, as those of generate(). */
const generateOptions: Kind = {
  expected: "an object with options of generate",
  accepts: (value) => Object.prototype.toString.call(value) === "[object Object]",
};

export const BENCHMARK_OPTIONS: Kinds<BenchmarkOptions> = {
  promptTokens: whole(1),
  genTokens: whole(2),
  repeats: whole(1, 1000),
  depth: whole(0),
  sampling: generateOptions,
  onProgress: callback,
  signal: abortSignal,
};

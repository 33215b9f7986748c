// What the options of generate() may be, which others take too.
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
import { KV_CACHE_TYPES } from "../model/kv-cache.js";
import type { GenerateOptions } from "./events.js";

/** Most alternatives that `logprobs` can ask for. */
const MAX_LOGPROBS = 20;

export const KV_CACHE = oneOf(...KV_CACHE_TYPES);

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
  onOverflow: oneOf("error", "truncate-head", "truncate-middle", "slide"),
  promptCache: flag,
  onPromptProgress: callback,
  signal: abortSignal,
};

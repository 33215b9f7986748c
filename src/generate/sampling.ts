// From what a caller asks for to the settings in force: defaults of generation_config.json, then our own; every value checked.
import { QuipuError } from "../errors.js";
import type { GenerationConfig } from "../model/generation-config.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { EffectiveSettings, GenerateOptions, OnOverflow } from "./events.js";

export const DEFAULT_MAX_TOKENS = 256;
export const DEFAULT_TEMPERATURE = 0.8;
/** Most alternatives that `logprobs` can ask for. */
export const MAX_LOGPROBS = 20;

/**
 * The settings in force for a request.
 *
 * @throws {QuipuError} ERR_USAGE naming the option, what it may be and what it was.
 */
export function resolveSettings(options: GenerateOptions, defaults: GenerationConfig): EffectiveSettings {
  const settings = {
    maxTokens: options.maxTokens ?? defaults.maxNewTokens ?? DEFAULT_MAX_TOKENS,
    temperature: options.temperature ?? defaults.temperature ?? DEFAULT_TEMPERATURE,
    topK: options.topK ?? defaults.topK ?? 0,
    topP: options.topP ?? defaults.topP ?? 1,
    minP: options.minP ?? defaults.minP ?? 0,
    repeatPenalty: options.repeatPenalty ?? defaults.repetitionPenalty ?? 1,
    presencePenalty: options.presencePenalty ?? 0,
    frequencyPenalty: options.frequencyPenalty ?? 0,
    stop: options.stop ?? [],
    ignoreEos: options.ignoreEos ?? false,
    seed: options.seed ?? drawSeed(),
  };
  const whole = (name: string, value: unknown, from: number, to: number) =>
    check(name, value, isFrom(value, from, to) && Number.isInteger(value), `a whole number from ${from} to ${to}`);
  const real = (name: string, value: unknown, from: number, to: number) =>
    check(name, value, isFrom(value, from, to), `a number from ${from} to ${to}`);
  const positive = (name: string, value: unknown, to: number) =>
    check(name, value, isFrom(value, Number.MIN_VALUE, to), `a number above 0, at most ${to}`);
  whole("maxTokens", settings.maxTokens, -1, Number.MAX_SAFE_INTEGER);
  real("temperature", settings.temperature, 0, 100);
  whole("topK", settings.topK, 0, 2 ** 31 - 1);
  positive("topP", settings.topP, 1);
  real("minP", settings.minP, 0, 1);
  positive("repeatPenalty", settings.repeatPenalty, 100);
  real("presencePenalty", settings.presencePenalty, -100, 100);
  real("frequencyPenalty", settings.frequencyPenalty, -100, 100);
  whole("seed", settings.seed, 0, Number.MAX_SAFE_INTEGER);
  whole("logprobs", options.logprobs ?? 0, 0, MAX_LOGPROBS);
  const { stop } = settings;
  const texts = Array.isArray(stop) && stop.every((text) => typeof text === "string" && text !== "");
  check("stop", stop, texts, "a list of texts that are not empty");
  const overflows: readonly OnOverflow[] = ["error", "truncate-head", "truncate-middle"];
  check("onOverflow", options.onOverflow, overflows.includes(options.onOverflow ?? "error"), overflows.join(", "));
  return settings;
}

/** The biases by id; a text must be exactly one token. */
export function resolveBias(
  bias: GenerateOptions["logitBias"],
  tokenizer: Tokenizer | undefined,
  vocabSize: number,
): ReadonlyMap<number, number> {
  const byId = new Map<number, number>();
  if (bias !== undefined && typeof bias[Symbol.iterator] !== "function") {
    throw new QuipuError("ERR_USAGE", "logitBias: expected a Map from ids or texts to numbers");
  }
  for (const [key, value] of bias ?? []) {
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw new QuipuError("ERR_USAGE", `logitBias of ${JSON.stringify(key)}: expected a number, got ${value}`);
    }
    const id = typeof key === "number" ? key : idOfText(key, tokenizer);
    if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
      throw new QuipuError("ERR_USAGE", `logitBias: expected an id from 0 to ${vocabSize - 1}, got ${id}`);
    }
    byId.set(id, value);
  }
  return byId;
}

function idOfText(text: string, tokenizer: Tokenizer | undefined): number {
  if (tokenizer === undefined) {
    throw new QuipuError("ERR_USAGE", `logitBias: ${JSON.stringify(text)} needs a tokenizer; give an id instead`);
  }
  const ids = tokenizer.encode(text, { special: true });
  if (ids.length === 1) return ids[0]!;
  throw new QuipuError(
    "ERR_USAGE",
    `logitBias: ${JSON.stringify(text)} is ${ids.length} tokens (${ids.join(", ")}), not one; give an id, or a text that is one token (a leading space counts)`,
  );
}

function check(name: string, value: unknown, good: boolean, expected: string): void {
  if (good) return;
  const got = typeof value === "number" ? value : JSON.stringify(value);
  throw new QuipuError("ERR_USAGE", `${name}: expected ${expected}, got ${got}`);
}

function isFrom(value: unknown, from: number, to: number): boolean {
  return typeof value === "number" && value >= from && value <= to;
}

/** 32 bits: short enough to type. */
function drawSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

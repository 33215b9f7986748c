// From a caller's options to the settings in force: missing ones are generation_config.json's, else our defaults.
import { shown } from "../arguments.js";
import { QuipuError } from "../errors.js";
import type { GenerationConfig } from "../model/generation-config.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { EffectiveSettings, GenerateOptions } from "./events.js";

export const DEFAULT_MAX_TOKENS = 256;
export const DEFAULT_TEMPERATURE = 0.8;

/** The settings in force for a request, of options and defaults that are checked. Its stop ids are resolved apart. */
export function resolveSettings(
  options: GenerateOptions,
  defaults: GenerationConfig,
): Omit<EffectiveSettings, "stopIds"> {
  return {
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
}

/**
 * The biases by id; a text must be exactly one token.
 *
 * @throws {QuipuError} ERR_USAGE
 */
export function resolveBias(
  bias: GenerateOptions["logitBias"],
  tokenizer: Tokenizer | undefined,
  vocabSize: number,
): ReadonlyMap<number, number> {
  const byId = new Map<number, number>();
  for (const [key, value] of bias ?? []) {
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw wrongBias(`of ${shown(key)}: expected a number, got ${shown(value)}`);
    }
    const id = typeof key === "string" ? idOfText(key, tokenizer) : key;
    if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
      throw wrongBias(`expected ids from 0 to ${vocabSize - 1}, or texts, got ${shown(id)}`);
    }
    byId.set(id, value);
  }
  return byId;
}

function idOfText(text: string, tokenizer: Tokenizer | undefined): number {
  if (tokenizer === undefined) throw wrongBias(`${shown(text)} needs a tokenizer; give an id instead`);
  const ids = tokenizer.encode(text, { special: true });
  if (ids.length === 1) return ids[0]!;
  throw wrongBias(
    `${shown(text)} is ${ids.length} tokens (${ids.slice(0, 8).join(", ")}), not one; give an id, or a text that is one token (a leading space counts)`,
  );
}

function wrongBias(problem: string): QuipuError {
  return new QuipuError("ERR_USAGE", `logitBias: ${problem}`, { option: "logitBias" });
}

/** 32 bits: short enough to type. */
function drawSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

// generation_config.json: the sampling defaults that come with a checkpoint, and its end-of-sequence ids.
import { join } from "node:path";
import { type JsonObject, readJsonFile } from "../checkpoint/json.js";
import type { Warn } from "../warnings.js";
import type { LlamaConfig } from "./config.js";
import { invalid, readIds } from "./config-fields.js";

const FILE = "generation_config.json";

export interface GenerationConfig {
  /** Undefined where the file says nothing; 0 for do_sample false. */
  readonly temperature: number | undefined;
  readonly topK: number | undefined;
  readonly topP: number | undefined;
  readonly minP: number | undefined;
  readonly repetitionPenalty: number | undefined;
  readonly maxNewTokens: number | undefined;
  /** This file's own ids that end a completion; of config.json and others, see Model.stopTokens. */
  readonly eosIds: readonly number[];
}

/**
 * Reads a folder's generation_config.json; without one nothing is set.
 *
 * @throws {QuipuError} ERR_MODEL_INVALID naming the field.
 */
export async function readGenerationConfig(
  dir: string,
  config: LlamaConfig,
  warn: Warn = () => {},
): Promise<GenerationConfig> {
  return parseGenerationConfig((await readJsonFile(join(dir, FILE), "ERR_MODEL_INVALID", warn)) ?? {}, config, warn);
}

/** {@link readGenerationConfig} for JSON already read. */
export function parseGenerationConfig(json: JsonObject, config: LlamaConfig, warn: Warn = () => {}): GenerationConfig {
  const number = (field: string, good: (value: number) => boolean, expected: string): number | undefined => {
    const value = json[field];
    if (value == null) return undefined;
    if (typeof value === "number" && good(value)) return value;
    return invalid(field, expected, value, FILE);
  };
  const whole = (value: number) => Number.isSafeInteger(value) && value >= 0;
  if (json.do_sample != null && typeof json.do_sample !== "boolean") {
    invalid("do_sample", "true or false", json.do_sample, FILE);
  }
  const temperature = number("temperature", (value) => value >= 0 && value <= 100, "a number from 0 to 100");
  return {
    temperature: json.do_sample === false ? 0 : temperature,
    topK: number("top_k", whole, "a whole number"),
    topP: number("top_p", (value) => value > 0 && value <= 1, "a number above 0, at most 1"),
    minP: number("min_p", (value) => value >= 0 && value <= 1, "a number from 0 to 1"),
    repetitionPenalty: number(
      "repetition_penalty",
      (value) => value > 0 && value <= 100,
      "a number above 0, at most 100",
    ),
    maxNewTokens: number("max_new_tokens", (value) => whole(value) && value > 0, "a whole number above 0"),
    eosIds: readIds(json, "eos_token_id", config.vocabSize, warn, FILE),
  };
}

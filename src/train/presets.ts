// Shapes of models to train from nothing, as config.json spells them; the vocabulary is the tokenizer's, unless the shape names one.
import { readFile } from "node:fs/promises";
import type { JsonObject } from "../checkpoint/json.js";
import { parseJsonObject } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";

export interface Preset {
  readonly config: JsonObject;
  /** What a run of it takes unless it is told otherwise. */
  readonly rate: number;
}

const SMALL = { num_hidden_layers: 5, rope_theta: 10000 };

const PRESETS: Readonly<Record<string, Preset>> = {
  "storyteller-260k": {
    config: { ...SMALL, hidden_size: 64, intermediate_size: 172, num_attention_heads: 8, num_key_value_heads: 4 },
    rate: 3e-3,
  },
  "storyteller-2m": {
    config: { ...SMALL, hidden_size: 192, intermediate_size: 512, num_attention_heads: 6, num_key_value_heads: 2 },
    rate: 2e-3,
  },
  "storyteller-15m": {
    config: {
      ...SMALL,
      ...{
        hidden_size: 384,
        intermediate_size: 1024,
        num_hidden_layers: 8,
        num_attention_heads: 6,
        num_key_value_heads: 2,
      },
    },
    rate: 1e-3,
  },
  "llama-3.2-1b-shape": {
    config: {
      ...{
        hidden_size: 2048,
        intermediate_size: 8192,
        num_hidden_layers: 16,
        num_attention_heads: 32,
        num_key_value_heads: 8,
      },
      ...{ vocab_size: 128256, rope_theta: 500000 },
      rope_scaling: {
        ...{ rope_type: "llama3", factor: 32, low_freq_factor: 1, high_freq_factor: 4 },
        original_max_position_embeddings: 8192,
      },
    },
    rate: 3e-4,
  },
};

export const PRESET_NAMES: readonly string[] = Object.keys(PRESETS);

export function presetNamed(name: string): Preset | undefined {
  return Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
}

/** What all have in common, and what config.json of a model has that is trained here. */
export const COMMON: JsonObject = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_act: "silu",
  rms_norm_eps: 1e-5,
  initializer_range: 0.02,
  tie_word_embeddings: true,
  attention_bias: false,
  mlp_bias: false,
};

/** A config.json of one's own. @throws {QuipuError} ERR_USAGE */
export async function readConfigFile(path: string): Promise<JsonObject> {
  try {
    return parseJsonObject(await readFile(path), path, "ERR_USAGE");
  } catch (cause) {
    if (cause instanceof QuipuError) throw cause;
    throw new QuipuError("ERR_USAGE", `init: ${path}: cannot be read: ${(cause as Error).message}`, {
      cause,
      option: "init",
    });
  }
}

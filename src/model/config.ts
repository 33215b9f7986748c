// config.json of a Llama checkpoint, in both spellings of the rotary settings, checked field by field. What quipu cannot
// compute faithfully is refused by name, never guessed.
import { join } from "node:path";
import { pathOf } from "../arguments.js";
import { isJsonObject, type JsonObject, readJsonFile } from "../checkpoint/json.js";
import { QuipuError } from "../errors.js";

export interface RopeConfig {
  readonly theta: number;
  /** Llama 3.1's scaling of low frequencies (docs of transformers: rope_type "llama3"). */
  readonly scaling?: {
    readonly factor: number;
    readonly lowFreqFactor: number;
    readonly highFreqFactor: number;
    readonly originalMaxPositions: number;
  };
}

export interface LlamaConfig {
  readonly vocabSize: number;
  /** D */
  readonly hiddenSize: number;
  /** F */
  readonly intermediateSize: number;
  readonly layers: number;
  /** H */
  readonly heads: number;
  /** G: key/value heads; H is a multiple of it. */
  readonly kvHeads: number;
  /** d: even, not always hiddenSize / heads. */
  readonly headSize: number;
  readonly normEps: number;
  readonly maxPositions: number;
  readonly tiedEmbeddings: boolean;
  readonly rope: RopeConfig;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
}

const FILE = "config.json";
/** Sizes beyond this are no model's; they would only overflow something later. */
const MAX_SIZE = 2 ** 24;

/**
 * Reads a folder's config.json.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND without one, ERR_MODEL_INVALID for a bad field, ERR_MODEL_UNSUPPORTED for another
 *   architecture or an option that quipu does not compute, ERR_USAGE.
 */
export async function readConfig(folder: string | URL): Promise<LlamaConfig> {
  const dir = pathOf("folder", folder);
  const json = await readJsonFile(join(dir, FILE), "ERR_MODEL_INVALID");
  if (json === undefined) {
    throw new QuipuError(
      "ERR_MODEL_NOT_FOUND",
      `${dir}: no ${FILE}. Expected a folder in Hugging Face layout (config.json, *.safetensors, tokenizer.json); Meta's original (params.json, *.pth) and GGUF files are other forms of a checkpoint.`,
    );
  }
  return parseConfig(json);
}

/** {@link readConfig} for JSON already read. */
export function parseConfig(json: JsonObject): LlamaConfig {
  refuseOthers(json);
  const hiddenSize = size(json, "hidden_size");
  const heads = size(json, "num_attention_heads");
  const kvHeads = json.num_key_value_heads == null ? heads : size(json, "num_key_value_heads");
  if (heads % kvHeads !== 0) invalid("num_attention_heads", `a multiple of num_key_value_heads (${kvHeads})`, heads);
  if (json.head_dim == null && hiddenSize % heads !== 0) {
    invalid("hidden_size", `a multiple of num_attention_heads (${heads}), as there is no head_dim`, hiddenSize);
  }
  const headSize = json.head_dim == null ? hiddenSize / heads : size(json, "head_dim");
  if (headSize % 2 !== 0) invalid("head_dim", "an even number, as rotary positions turn pairs", headSize);
  const maxPositions = json.max_position_embeddings == null ? 2048 : size(json, "max_position_embeddings");
  const vocabSize = size(json, "vocab_size");
  const config: LlamaConfig = {
    vocabSize,
    hiddenSize,
    intermediateSize: size(json, "intermediate_size"),
    layers: size(json, "num_hidden_layers", 4096),
    heads,
    kvHeads,
    headSize,
    normEps: json.rms_norm_eps == null ? 1e-6 : positive(json, "rms_norm_eps"),
    maxPositions,
    tiedEmbeddings: flag(json, "tie_word_embeddings", false),
    rope: readRope(json, maxPositions),
    bosId: readIds(json, "bos_token_id", vocabSize)[0],
    eosIds: readIds(json, "eos_token_id", vocabSize),
  };
  if (config.heads * config.headSize > MAX_SIZE)
    invalid("head_dim", `heads · head_dim of at most ${MAX_SIZE}`, headSize);
  return config;
}

/** Ids as the published configurations give them: a number, a list, or nothing. */
export function readIds(json: JsonObject, field: string, vocabSize: number, file = FILE): number[] {
  const value = json[field];
  if (value == null) return [];
  const list = Array.isArray(value) ? value : [value];
  for (const id of list) {
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize)
      invalid(field, `ids from 0 to ${vocabSize - 1}`, value, file);
  }
  return list as number[];
}

function refuseOthers(json: JsonObject): void {
  const architectures = json.architectures;
  if (
    architectures != null &&
    !(Array.isArray(architectures) && architectures.every((name) => typeof name === "string"))
  ) {
    invalid("architectures", "a list of names", architectures);
  }
  const others = ((architectures ?? []) as string[]).filter((name) => name !== "LlamaForCausalLM");
  if (others.length > 0) unsupported("architectures", "LlamaForCausalLM", others.join(", "));
  if (json.model_type !== "llama") {
    if (json.model_type == null && architectures == null) invalid("model_type", '"llama"', json.model_type);
    if (json.model_type != null) unsupported("model_type", "llama", json.model_type);
  }
  for (const field of ["attention_bias", "mlp_bias"]) {
    if (flag(json, field, false)) unsupported(field, "false (projections without biases)", true);
  }
  if (json.hidden_act != null && json.hidden_act !== "silu") unsupported("hidden_act", "silu", json.hidden_act);
  if (json.quantization_config != null) {
    const method = isJsonObject(json.quantization_config)
      ? json.quantization_config.quant_method
      : json.quantization_config;
    unsupported("quantization_config", "a checkpoint in bf16, f16 or f32", method);
  }
  if (json.sliding_window != null) unsupported("sliding_window", "none", json.sliding_window);
}

function readRope(json: JsonObject, maxPositions: number): RopeConfig {
  const parameters = json.rope_parameters;
  if (parameters != null && !isJsonObject(parameters)) invalid("rope_parameters", "an object", parameters);
  const scaling = json.rope_scaling;
  if (scaling != null && !isJsonObject(scaling)) invalid("rope_scaling", "an object or null", scaling);
  // transformers 5 writes rope_parameters (with rope_theta inside), before it was rope_theta and rope_scaling.
  const [source, where] =
    parameters != null
      ? [parameters as JsonObject, "rope_parameters."]
      : [(scaling ?? {}) as JsonObject, "rope_scaling."];
  const thetaIn = parameters != null && source.rope_theta != null ? source : json;
  const theta = thetaIn.rope_theta == null ? 10000 : positive(thetaIn, "rope_theta");
  const type = source.rope_type ?? source.type ?? "default";
  if (type === "default") return { theta };
  if (type !== "llama3") return unsupported(`${where}rope_type`, "default or llama3", type);
  const originalMaxPositions =
    source.original_max_position_embeddings == null
      ? maxPositions
      : size(source, "original_max_position_embeddings", MAX_SIZE, where);
  const factor = positive(source, "factor", where);
  const lowFreqFactor = positive(source, "low_freq_factor", where);
  const highFreqFactor = positive(source, "high_freq_factor", where);
  if (factor < 1) invalid(`${where}factor`, "at least 1", factor);
  if (highFreqFactor <= lowFreqFactor)
    invalid(`${where}high_freq_factor`, `more than low_freq_factor (${lowFreqFactor})`, highFreqFactor);
  return { theta, scaling: { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } };
}

function size(json: JsonObject, field: string, most = MAX_SIZE, where = ""): number {
  const value = json[field];
  if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > most) {
    invalid(where + field, `a whole number from 1 to ${most}`, value);
  }
  return value as number;
}

function positive(json: JsonObject, field: string, where = ""): number {
  const value = json[field];
  if (typeof value !== "number" || !(value > 0) || !Number.isFinite(value))
    invalid(where + field, "a number above 0", value);
  return value as number;
}

function flag(json: JsonObject, field: string, otherwise: boolean): boolean {
  const value = json[field] ?? otherwise;
  if (typeof value !== "boolean") invalid(field, "true or false", value);
  return value as boolean;
}

function invalid(field: string, expected: string, got: unknown, file = FILE): never {
  throw new QuipuError(
    "ERR_MODEL_INVALID",
    `${file}: ${field}: expected ${expected}, got ${(JSON.stringify(got) ?? "nothing").slice(0, 80)}`,
  );
}

function unsupported(field: string, expected: string, got: unknown): never {
  throw new QuipuError(
    "ERR_MODEL_UNSUPPORTED",
    `${FILE}: ${field}: quipu runs Llama checkpoints: expected ${expected}, got ${(JSON.stringify(got) ?? "nothing").slice(0, 120)}`,
  );
}

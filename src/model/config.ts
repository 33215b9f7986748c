// config.json of a Llama checkpoint, checked field by field. What quipu cannot compute faithfully is refused by name, never
// guessed; defaults are those of transformers (decisions/0006).
import { join } from "node:path";
import { callback, checkArgument, pathOf } from "../arguments.js";
import { listFolder } from "../checkpoint/file.js";
import { inCheckpoint } from "../checkpoint/hub.js";
import { isJsonObject, type JsonObject, readJsonFile } from "../checkpoint/json.js";
import { otherForm } from "../checkpoint/other-forms.js";
import { type CheckpointSource, readSourceJson } from "../checkpoint/source.js";
import { QuipuError } from "../errors.js";
import { firstOf, type Warn } from "../warnings.js";
import { CONFIG_FILE, flag, invalid, MAX_SIZE, positive, readIds, size, unsupported } from "./config-fields.js";
import { type RopeConfig, readRope } from "./rope-config.js";

export interface LlamaConfig {
  /** Mistral's models are Llama's but for their defaults and a sliding window, which is not supported. */
  readonly modelType: "llama" | "mistral";
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
  /** What config.json says; a head that is stored all the same and differs is used (model/tensors.ts). */
  readonly tiedEmbeddings: boolean;
  readonly rope: RopeConfig;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
}

interface ModelDefaults {
  readonly maxPositions: number;
  /** undefined: as many as query heads. */
  readonly kvHeads: number | undefined;
  readonly slidingWindow: number | undefined;
}

/** What transformers takes where config.json leaves a field out. Sizes that shape the weights are never guessed. */
const DEFAULTS: Readonly<Record<LlamaConfig["modelType"], ModelDefaults>> = {
  llama: { maxPositions: 2048, kvHeads: undefined, slidingWindow: undefined },
  mistral: { maxPositions: 131072, kvHeads: 8, slidingWindow: 4096 },
};

/**
 * Reads a folder's config.json.
 *
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND without one, ERR_MODEL_INVALID for a bad field, ERR_MODEL_UNSUPPORTED for another
 *   architecture or an option that quipu does not compute, ERR_USAGE.
 */
export async function readConfig(folder: string | URL, warn: Warn = () => {}): Promise<LlamaConfig> {
  const dir = pathOf("folder", folder);
  checkArgument("warn", warn, callback);
  return inCheckpoint(dir, async () => {
    const json = await readJsonFile(join(dir, CONFIG_FILE), "ERR_MODEL_INVALID", warn);
    if (json !== undefined) return parseConfig(json, warn);
    throw await noConfig(dir, await listFolder(dir));
  });
}

/** {@link readConfig}, of a source. @throws {QuipuError} the source's too. */
export async function readSourceConfig(
  source: CheckpointSource,
  warn?: Warn,
  signal?: AbortSignal,
): Promise<LlamaConfig> {
  const json = await readSourceJson(source, CONFIG_FILE, "ERR_MODEL_INVALID", { warn, signal });
  if (json !== undefined) return parseConfig(json, warn);
  const names = source.files.map(({ name }) => name);
  throw await noConfig(source.where, names);
}

async function noConfig(dir: string, names: readonly string[]): Promise<QuipuError> {
  const other = await otherForm(dir, names);
  const hint =
    other === undefined
      ? "Expected a folder in Hugging Face layout (config.json, *.safetensors, tokenizer.json); Meta's original (params.json, *.pth) and GGUF files are other forms of a checkpoint."
      : `But ${other}.`;
  return new QuipuError("ERR_MODEL_NOT_FOUND", `${dir}: no ${CONFIG_FILE}. ${hint}`);
}

/** {@link readConfig} for JSON already read. */
export function parseConfig(json: JsonObject, warn: Warn = () => {}): LlamaConfig {
  const modelType = readModelType(json, warn);
  const defaults = DEFAULTS[modelType];
  refuseOptions(json, modelType);
  const hiddenSize = size(json, "hidden_size");
  const heads = size(json, "num_attention_heads");
  const kvDefault = json.num_key_value_heads === undefined ? defaults.kvHeads : undefined;
  const kvHeads = json.num_key_value_heads == null ? (kvDefault ?? heads) : size(json, "num_key_value_heads");
  if (heads % kvHeads !== 0) invalid("num_attention_heads", `a multiple of num_key_value_heads (${kvHeads})`, heads);
  if (json.head_dim == null && hiddenSize % heads !== 0) {
    invalid("hidden_size", `a multiple of num_attention_heads (${heads}), as there is no head_dim`, hiddenSize);
  }
  const headSize = json.head_dim == null ? hiddenSize / heads : size(json, "head_dim");
  if (headSize % 2 !== 0) invalid("head_dim", "an even number, as rotary positions turn pairs", headSize);
  if (heads * headSize > MAX_SIZE) invalid("head_dim", `heads · head_dim of at most ${MAX_SIZE}`, headSize);
  const maxPositions =
    json.max_position_embeddings == null ? defaults.maxPositions : size(json, "max_position_embeddings");
  refuseWindow(json, modelType, maxPositions);
  const vocabSize = size(json, "vocab_size");
  return {
    modelType,
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
    rope: readRope(json, maxPositions, warn),
    bosId: readIds(json, "bos_token_id", vocabSize, warn)[0],
    eosIds: readIds(json, "eos_token_id", vocabSize, warn),
  };
}

/** model_type decides, as in transformers; architectures must be of that family. */
function readModelType(json: JsonObject, warn: Warn): LlamaConfig["modelType"] {
  const { architectures = null, model_type: type = null } = json;
  if (
    architectures !== null &&
    !(Array.isArray(architectures) && architectures.every((name) => typeof name === "string"))
  ) {
    invalid("architectures", "a list of names", architectures);
  }
  const names = (architectures ?? []) as string[];
  const known = Object.keys(DEFAULTS) as LlamaConfig["modelType"][];
  const found = known.find((name) =>
    type === null ? names.some((other) => other.toLowerCase() === `${name}forcausallm`) : name === type,
  );
  if (found === undefined) {
    if (type !== null) return unsupported("model_type", known.join(" or "), type);
    if (names.length > 0)
      return unsupported("architectures", "LlamaForCausalLM or MistralForCausalLM", names.join(", "));
    return invalid("model_type", '"llama"', json.model_type);
  }
  const stranger = names.find((name) => !name.toLowerCase().startsWith(found));
  if (stranger !== undefined) unsupported("architectures", `those of model_type ${found}`, names.join(", "));
  const forTasks = names.filter((name) => !/(ForCausalLM|Model)$/.test(name));
  if (forTasks.length > 0) {
    const what = `${CONFIG_FILE}: architectures: ${firstOf(forTasks)}`;
    warn("WARN_CONFIG_IGNORED", `${what}: the model is run as a language model, without what that adds`);
  }
  return found;
}

function refuseOptions(json: JsonObject, modelType: LlamaConfig["modelType"]): void {
  for (const field of ["attention_bias", "mlp_bias"]) {
    if (flag(json, field, false)) unsupported(field, "false (projections without biases)", true);
  }
  if (json.hidden_act != null && json.hidden_act !== "silu" && json.hidden_act !== "swish") {
    unsupported("hidden_act", "silu or swish", json.hidden_act);
  }
  for (const field of ["quantization_config", "quantization", "compression_config"]) {
    const value = json[field];
    if (value == null) continue;
    const method = isJsonObject(value) && value.quant_method !== undefined ? value.quant_method : value;
    unsupported(field, `a checkpoint in bf16, f16 or f32${field === "quantization" ? " (this is MLX's)" : ""}`, method);
  }
  if (json.per_layer_config != null) unsupported("per_layer_config", "layers that are alike", json.per_layer_config);
  if (json.transformers_weights != null) {
    unsupported("transformers_weights", "none, and the weights in model*.safetensors", json.transformers_weights);
  }
  const kinds = json.layer_types;
  const isFull = Array.isArray(kinds) && modelType === "llama" && kinds.every((kind) => kind === "full_attention");
  if (kinds != null && !isFull) unsupported("layer_types", "full_attention in every layer", kinds);
}

/** A window that no position can look past changes nothing. */
function refuseWindow(json: JsonObject, modelType: LlamaConfig["modelType"], maxPositions: number): void {
  const value = json.sliding_window === undefined ? DEFAULTS[modelType].slidingWindow : json.sliding_window;
  if (value == null || (modelType === "llama" && json.use_sliding_window === false)) return;
  if (typeof value === "number" && value >= maxPositions) return;
  const meant = json.sliding_window === undefined ? `, ${value} where ${modelType}'s config.json says nothing` : "";
  const expected = `null, or at least max_position_embeddings (${maxPositions})${meant}`;
  unsupported("sliding_window", expected, json.sliding_window);
}

// The tensors that a Llama checkpoint holds, by their Hugging Face names, and the check that they are there, in their shapes
// and in a dtype that quipu computes with: before anything is computed. What is there beside them is what transformers leaves
// out too, with a warning, or an error where a module that the model computes with would be another (decisions/0006).
import type { Checkpoint, CheckpointTensor } from "../checkpoint/checkpoint.js";
import { sameContents } from "../checkpoint/contents.js";
import { FILE_DTYPES } from "../device/formats.js";
import { formatShape } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { firstOf, shownName, type Warn } from "../warnings.js";
import type { LlamaConfig } from "./config.js";

export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Where the tensors of a model are. */
export interface FoundTensors {
  /** By the name that {@link expectedTensors} gives, with the head only where it is stored and used. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** Whether the head is the embedding, or a tensor of its own. */
  readonly head: "tied" | "stored";
}

export const EMBEDDING = "model.embed_tokens.weight";
export const HEAD = "lm_head.weight";
const LAYER = /^(?:model\.)?layers\.(\d+)\.(.+)$/s;

/** Buffers that old exports saved and that follow from config.json: transformers says nothing of them either. */
const SILENT = /rotary_emb\.inv_freq/;
/** In a layer: buffers that follow from config.json, and scales that only a quantized cache uses. */
const HARMLESS = /(^|\.)(rotary_emb\..+|position_ids|(q|k|v|kv|prob)_scale)$/s;

/** Every tensor that `config` asks for, in the order of the model. */
export function expectedTensors(config: LlamaConfig): ExpectedTensor[] {
  const { vocabSize: V, hiddenSize: D, intermediateSize: F, heads, kvHeads, headSize, layers } = config;
  const q = heads * headSize;
  const kv = kvHeads * headSize;
  const layer = (i: number): ExpectedTensor[] =>
    (
      [
        ["input_layernorm", [D]],
        ["self_attn.q_proj", [q, D]],
        ["self_attn.k_proj", [kv, D]],
        ["self_attn.v_proj", [kv, D]],
        ["self_attn.o_proj", [D, q]],
        ["post_attention_layernorm", [D]],
        ["mlp.gate_proj", [F, D]],
        ["mlp.up_proj", [F, D]],
        ["mlp.down_proj", [D, F]],
      ] as const
    ).map(([name, shape]) => ({ name: `model.layers.${i}.${name}.weight`, shape }));
  return [
    { name: EMBEDDING, shape: [V, D] },
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    { name: "model.norm.weight", shape: [D] },
    ...(config.tiedEmbeddings ? [] : [{ name: HEAD, shape: [V, D] }]),
  ];
}

/**
 * Finds the tensors of `config` in a checkpoint, whose names may lack the prefix "model." (exports of the model without its
 * head), and checks the dtype and shape of each.
 *
 * @param warn told of tensors that are left out, and of a stored head beside a config.json that ties it.
 * @param isSame whether two tensors have the same contents, undefined where they are not to be read; by default they are.
 * @throws {QuipuError} ERR_MODEL_INVALID or ERR_MODEL_UNSUPPORTED, naming tensor, file, expected and got.
 */
export async function findTensors(
  config: LlamaConfig,
  checkpoint: Checkpoint,
  warn: Warn,
  signal?: AbortSignal,
  isSame: (a: CheckpointTensor, b: CheckpointTensor) => Promise<boolean | undefined> = (a, b) =>
    sameContents(checkpoint, a, b, signal),
): Promise<FoundTensors> {
  const expected = expectedTensors(config);
  const { vocabSize: V, hiddenSize: D } = config;
  const shapes = new Map([...expected, { name: HEAD, shape: [V, D] }].map(({ name, shape }) => [name, shape]));
  const found = new Map<string, CheckpointTensor>();
  const extra: string[] = [];
  for (const tensor of checkpoint.tensors.values()) {
    const name = modelName(tensor.name, shapes);
    if (!shapes.has(name)) {
      if (computesWith(name, config)) throw anotherModule(name, tensor);
      if (!SILENT.test(name)) extra.push(tensor.name);
      continue;
    }
    const other = found.get(name);
    if (other !== undefined) {
      const both = `${shownName(other.name)} and ${shownName(tensor.name)}`;
      throw new QuipuError(
        "ERR_MODEL_INVALID",
        `${checkpoint.dir}: ${both} are one tensor of the model: expected it once`,
      );
    }
    found.set(name, tensor);
  }
  const stored = found.get(HEAD);
  // As in transformers, tying works both ways: a head without an embedding is the embedding.
  if (config.tiedEmbeddings && stored !== undefined && !found.has(EMBEDDING)) found.set(EMBEDDING, stored);
  const missing = expected.filter(({ name }) => !found.has(name)).map(({ name }) => name);
  if (missing.length > 0) throw missingTensors(missing, expected.length, checkpoint);
  for (const [name, tensor] of found) checkTensor(tensor, shapes.get(name)!);
  if (extra.length > 0) {
    const beyond = extra.some((name) => Number(LAYER.exec(name)?.[1] ?? -1) >= config.layers);
    const hint = beyond ? `. config.json has ${config.layers} layers (num_hidden_layers)` : "";
    const count = extra.length === 1 ? "a tensor" : `${extra.length} tensors`;
    warn("WARN_EXTRA_TENSORS", `${checkpoint.dir}: ${count} that the model has no use for: ${firstOf(extra)}${hint}`);
  }
  if (!config.tiedEmbeddings) return { tensors: found, head: "stored" };
  const embedding = found.get(EMBEDDING)!;
  const isTied = stored === undefined || stored === embedding || (await isSame(embedding, stored));
  if (isTied) {
    found.delete(HEAD);
    return { tensors: found, head: "tied" };
  }
  const tie = "the embedding, to which config.json ties it (tie_word_embeddings)";
  warn(
    "WARN_STORED_HEAD",
    isTied === undefined
      ? `${stored.name} in ${stored.fileName} was not compared with ${tie}: it is counted as a head of its own`
      : `${stored.name} in ${stored.fileName} is not ${tie}: the stored head is used`,
  );
  return { tensors: found, head: "stored" };
}

/** The name in the model: as transformers does, the prefix of the inner model is added or taken away where that names a tensor. */
function modelName(name: string, shapes: ReadonlyMap<string, unknown>): string {
  const inner = name.replace(/^model\./, "");
  if (inner !== name && shapes.has(inner)) return inner;
  if (shapes.has(`model.${name}`) || /^(layers\.\d+|embed_tokens|norm)\./.test(name)) return `model.${name}`;
  return /^model\.(model\.|lm_head\.)/.test(name) ? inner : name;
}

/** Whether a tensor that the model does not have belongs to a module that it computes with, which would be another one. */
function computesWith(name: string, config: LlamaConfig): boolean {
  const [, layer, inLayer] = LAYER.exec(name) ?? [];
  if (layer !== undefined) return Number(layer) < config.layers && !HARMLESS.test(inLayer!);
  return /^(model\.embed_tokens|model\.norm|lm_head)\./.test(name);
}

function anotherModule(name: string, tensor: CheckpointTensor): QuipuError {
  const what = /\.bias$/.test(name)
    ? "biases are not supported"
    : /lora_[AB]/.test(name)
      ? "a LoRA adapter that is not merged is not supported: merge it into the weights"
      : /\.(qweight|qzeros|scales|biases|g_idx|absmax|quant_map|weight_(scale|packed|scale_inv|shape|zero_point))\b/.test(
            name,
          )
        ? "quantized weights are not supported: fetch the checkpoint in bf16, f16 or f32"
        : "the result would be another without it";
  return new QuipuError(
    "ERR_MODEL_UNSUPPORTED",
    `${shownName(tensor.name)} in ${tensor.fileName}: a Llama model of this config.json has no such tensor in a module that it computes with; ${what}. Is config.json from another checkpoint?`,
  );
}

function missingTensors(missing: readonly string[], all: number, { dir, tensors }: Checkpoint): QuipuError {
  const names = [...tensors.keys()];
  const hint =
    missing.length === 1 && missing[0] === HEAD
      ? "config.json says that the head is not tied to the embedding (tie_word_embeddings), and without a head there are no logits. Is it an export of the model without its head?"
      : names.some((name) => name.includes("lora_"))
        ? "The weights are those of a LoRA adapter: merge it into its base model."
        : names.includes("tok_embeddings.weight")
          ? "The names are those of Meta's and Mistral's original form: fetch the form with Hugging Face's names."
          : "Is config.json from another checkpoint, or the download incomplete?";
  return new QuipuError(
    "ERR_MODEL_INVALID",
    `${dir}: ${missing.length} of ${all} tensors are missing: ${firstOf(missing)}. ${hint}`,
  );
}

function checkTensor(tensor: CheckpointTensor, shape: readonly number[]): void {
  const where = `${tensor.name} in ${tensor.fileName}`;
  if (!FILE_DTYPES.has(tensor.dtype)) {
    const [last, ...others] = [...FILE_DTYPES.keys()].reverse();
    throw new QuipuError(
      "ERR_MODEL_UNSUPPORTED",
      `${where}: expected ${others.reverse().join(", ")} or ${last}, got ${tensor.dtype}. Fetch the checkpoint in one of these.`,
    );
  }
  if (tensor.shape.join() === shape.join()) return;
  const expected = formatShape(FILE_DTYPES.get(tensor.dtype)!, shape);
  throw new QuipuError(
    "ERR_MODEL_INVALID",
    `${where}: expected ${expected}, got [${tensor.shape.join(", ")}]. Is config.json from another checkpoint?`,
  );
}

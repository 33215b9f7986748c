// The tensors that a Llama checkpoint holds, by their Hugging Face names, and the check that it holds just these, in these
// shapes and in a dtype that quipu computes with: before anything is computed.
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import { QuipuError } from "../errors.js";
import type { LlamaConfig } from "./config.js";

export interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

const DTYPES = new Set(["F32", "F16", "BF16"]);
/** Buffers that old exports saved; they follow from config.json. */
const IGNORED = /\.rotary_emb\.inv_freq$/;
const HEAD = "lm_head.weight";

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
    { name: "model.embed_tokens.weight", shape: [V, D] },
    ...Array.from({ length: layers }, (_, i) => layer(i)).flat(),
    { name: "model.norm.weight", shape: [D] },
    ...(config.tiedEmbeddings ? [] : [{ name: HEAD, shape: [V, D] }]),
  ];
}

/**
 * Checks name, dtype and shape of every tensor. A tied checkpoint may carry its head all the same (it is not read); any other
 * tensor that is not expected is an error, as a model that has it computes something else.
 *
 * @throws {QuipuError} ERR_MODEL_INVALID or ERR_MODEL_UNSUPPORTED, naming tensor, file, expected and got.
 */
export function checkTensors(config: LlamaConfig, checkpoint: Checkpoint): void {
  const expected = expectedTensors(config);
  const missing = expected.filter(({ name }) => !checkpoint.tensors.has(name));
  if (missing.length > 0) {
    const hint =
      missing.length === 1 && missing[0]!.name === HEAD
        ? "config.json says that the head is not tied to the embedding (tie_word_embeddings)"
        : "Is config.json from another checkpoint, or the download incomplete?";
    const names = missing.slice(0, 3).map(({ name }) => name);
    throw new QuipuError(
      "ERR_MODEL_INVALID",
      `${checkpoint.dir}: ${missing.length} of ${expected.length} tensors are missing: ${names.join(", ")}${missing.length > 3 ? ", …" : ""}. ${hint}`,
    );
  }
  for (const { name, shape } of expected) {
    const tensor = checkpoint.tensors.get(name)!;
    const where = `${name} in ${tensor.fileName}`;
    if (tensor.shape.join() !== shape.join()) {
      const dtype = tensor.dtype.toLowerCase();
      throw new QuipuError(
        "ERR_MODEL_INVALID",
        `${where}: expected ${dtype} [${shape.join(", ")}], got [${tensor.shape.join(", ")}]. Is config.json from another checkpoint?`,
      );
    }
    if (!DTYPES.has(tensor.dtype)) {
      throw new QuipuError(
        "ERR_MODEL_UNSUPPORTED",
        `${where}: expected F32, F16 or BF16, got ${tensor.dtype}. Fetch the checkpoint in one of these.`,
      );
    }
  }
  const names = new Set(expected.map(({ name }) => name));
  for (const { name, fileName } of checkpoint.tensors.values()) {
    if (names.has(name) || IGNORED.test(name) || (config.tiedEmbeddings && name === HEAD)) continue;
    throw new QuipuError(
      "ERR_MODEL_UNSUPPORTED",
      `${name} in ${fileName}: a Llama model of this config.json has no such tensor${name.endsWith(".bias") ? " (biases are not supported)" : ""}. Is config.json from another checkpoint?`,
    );
  }
}

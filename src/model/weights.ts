// The weights of a checkpoint on a device: every tensor checked before anything is computed, none copied to the JS heap.
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { Device } from "../device/device.js";
import type { DType, Tensor } from "../device/tensor.js";
import type { WeightFile } from "../device/weight-file.js";
import type { Warn } from "../warnings.js";
import type { LlamaConfig } from "./config.js";
import type { LlamaLayer, LlamaWeights } from "./llama.js";
import { inverseFrequencies } from "./rope.js";
import { findTensors } from "./tensors.js";

const DTYPES: Readonly<Record<string, DType>> = { F32: "f32", F16: "f16", BF16: "bf16" };

/** Names inside a layer, as the checkpoint spells them (model.layers.N.…). */
const LAYER_NAMES: Readonly<Record<keyof LlamaLayer, string>> = {
  inputNorm: "input_layernorm",
  qProj: "self_attn.q_proj",
  kProj: "self_attn.k_proj",
  vProj: "self_attn.v_proj",
  oProj: "self_attn.o_proj",
  postAttentionNorm: "post_attention_layernorm",
  gateProj: "mlp.gate_proj",
  upProj: "mlp.up_proj",
  downProj: "mlp.down_proj",
};

export interface LoadedWeights {
  readonly weights: LlamaWeights;
  /** Bytes of the weights that the model uses. */
  readonly bytes: number;
  /** Bytes that a decoded token reads: all but the embedding, of which it reads a row, unless that is the head too. */
  readonly bytesPerToken: number;
  readonly parameters: number;
}

/**
 * Opens the weights. With `mmap` they stay in the page cache and come in as they are first read.
 *
 * @throws {QuipuError} ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED (findTensors), ERR_OUT_OF_MEMORY, ERR_ABORTED.
 */
export async function loadWeights(
  device: Device,
  checkpoint: Checkpoint,
  config: LlamaConfig,
  {
    mmap,
    warn = () => {},
    onProgress,
    signal,
  }: {
    mmap: boolean;
    warn?: Warn | undefined;
    onProgress?: ((done: number, total: number) => void) | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<LoadedWeights> {
  const { tensors, head } = await findTensors(config, checkpoint, warn, signal);
  const files: WeightFile[] = [];
  try {
    const total = checkpoint.files.reduce((sum, file) => sum + file.size, 0);
    let opened = 0;
    for (const { path, size } of checkpoint.files) {
      const tell = (ready: number) => onProgress?.(opened + ready, total);
      files.push(await device.open(path, size, { mmap, onProgress: tell, signal }));
      opened += size;
      if (mmap) onProgress?.(opened, total);
      await new Promise(setImmediate); // many shards take long: let Ctrl-C and progress through
    }
    let bytes = 0;
    let parameters = 0;
    const tensor = (name: string): Tensor => {
      const { file, offset, dtype, shape, bytes: size } = tensors.get(name)!;
      bytes += size;
      parameters += shape.reduce((product, dim) => product * dim, 1);
      return device.view(files[file]!, name, offset, DTYPES[dtype]!, shape);
    };
    const layer = (i: number) =>
      Object.fromEntries(
        Object.entries(LAYER_NAMES).map(([key, name]) => [key, tensor(`model.layers.${i}.${name}.weight`)]),
      ) as unknown as LlamaLayer;

    const embedTokens = tensor("model.embed_tokens.weight");
    const layers = Array.from({ length: config.layers }, (_, i) => layer(i));
    const norm = tensor("model.norm.weight");
    const lmHead = head === "tied" ? embedTokens : tensor("lm_head.weight");

    const frequencies = inverseFrequencies(config.rope, config.headSize);
    const inverse = device.allocate("inverseFrequencies", "f32", [frequencies.length]);
    await device.run(null, { writes: [[inverse, frequencies]] });
    const embedding = tensors.get("model.embed_tokens.weight")!.bytes;
    const row = embedding / config.vocabSize;
    return {
      weights: { embedTokens, inverseFrequencies: inverse, layers, norm, lmHead },
      bytes,
      bytesPerToken: head === "tied" ? bytes : bytes - embedding + row,
      parameters,
    };
  } finally {
    for (const file of files) file.dispose(); // tensors keep what they need
  }
}

/** Releases the weights; programs that use them must be gone. */
export function disposeWeights(
  device: Device,
  { embedTokens, inverseFrequencies, layers, norm, lmHead }: LlamaWeights,
): void {
  const views = [embedTokens, norm, lmHead, ...layers.flatMap((layer) => Object.values(layer) as Tensor[])];
  for (const tensor of [...views, inverseFrequencies]) device.free(tensor);
}

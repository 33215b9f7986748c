// What the files of a checkpoint are called: to read them, to fetch them, and to say which of them are missing.

/** All weights in one file. */
export const SINGLE = "model.safetensors";
/** Which tensor is in which shard. */
export const INDEX = "model.safetensors.index.json";
/** As transformers names them; an index may name others. */
export const SHARD = /^model-\d+-of-\d+\.safetensors$/;
/** Weights of a LoRA adapter, which are no model's. */
export const ADAPTER = "adapter_model.safetensors";

export function isWeights(name: string): boolean {
  return name.endsWith(".safetensors");
}

// Which format each matrix of a model is packed to, for what the user asks for.
import type { Packed } from "../device/formats.js";
import type { LlamaLayer } from "./llama.js";

/** What weights can be made at load. */
export const QUANTIZATIONS = ["none", "q8", "q4"] as const;

export type Quantization = (typeof QUANTIZATIONS)[number];

/** A weight: of a layer, the table of embeddings, the last norm, the head (which may be the table too). */
export type WeightRole = keyof LlamaLayer | "embedTokens" | "norm" | "lmHead";

/**
 * The format that a weight is packed to; undefined: it stays as it is. `q4` keeps 4.5 bits of most weights and 6.5 of those whose error
 * costs the most: the head, v, and down in half of the layers (the first and last eighth and every third between them, as llama.cpp's
 * Q4_K_M has more bits there). The 1B shape of Llama 3.2 takes 5.17 bits a weight so, the 8B shape of 3.1 4.90.
 */
export function formatOf(quantization: Quantization, role: WeightRole, layer = 0, layers = 1): Packed | undefined {
  if (quantization === "none" || role === "inputNorm" || role === "postAttentionNorm" || role === "norm")
    return undefined;
  if (quantization === "q8") return "q8";
  const isSensitive = role === "lmHead" || role === "vProj" || (role === "downProj" && isOuter(layer, layers));
  return isSensitive ? "q6" : "q4";
}

function isOuter(layer: number, layers: number): boolean {
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= layers - eighth || (layer - eighth) % 3 === 2;
}

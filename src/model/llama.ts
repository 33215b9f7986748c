// Llama 3 (arXiv:2407.21783 §3.2): a pre-norm decoder with grouped-query attention, rotary positions, SwiGLU and RMSNorm.
//
// T rows in the step, R rows whose logits are wanted, D hidden, H/G query/key-value heads, d head size, F feed-forward, V
// vocabulary. Ids, slots and positions are contents of the step's tensors: one recording serves every step of T rows.
import type { Tensor } from "../device/tensor.js";
import type { CacheState, Input, Recorder, RowPlaces } from "../graph/recorder.js";
import type { Value } from "../graph/recording.js";
import type { LlamaConfig } from "./config.js";
import { attentionFactor } from "./rope.js";

export interface LlamaLayer {
  readonly inputNorm: Tensor; // [D]
  readonly qProj: Tensor; // [H·d, D]
  readonly kProj: Tensor; // [G·d, D]
  readonly vProj: Tensor; // [G·d, D]
  readonly oProj: Tensor; // [D, H·d]
  readonly postAttentionNorm: Tensor; // [D]
  readonly gateProj: Tensor; // [F, D]
  readonly upProj: Tensor; // [F, D]
  readonly downProj: Tensor; // [D, F]
}

export interface LlamaWeights {
  readonly embedTokens: Tensor; // [V, D]
  readonly inverseFrequencies: Tensor; // [d / 2] f32
  readonly layers: readonly LlamaLayer[];
  readonly norm: Tensor; // [D]
  readonly lmHead: Tensor; // [V, D], the embedding itself where they are tied
}

export interface StepInputs extends RowPlaces {
  readonly ids: Input; // [T]
  readonly positions: Input; // [T]
}

/** The embedding of every row's id, [T, D]. */
export function recordEmbedding(r: Recorder, w: LlamaWeights, step: StepInputs): Value {
  return r.tap("embedding", r.gatherRows(w.embedTokens, step.ids));
}

/** The layers: from the embeddings to the hidden state of every row before the last norm, [T, D]. */
export function recordLayers(
  r: Recorder,
  config: LlamaConfig,
  w: LlamaWeights,
  cache: readonly CacheState<Tensor>[],
  step: StepInputs,
  embeddings: Value,
): Value {
  const { attention, feedForward } = blocks(r, config, w, step);
  let x = embeddings;
  w.layers.forEach((layer, i) => {
    r.region(`layers.${i}`, () => {
      x = r.tap("attention", r.add(x, attention(layer, cache[i]!, x)));
      x = r.tap("mlp", r.add(x, feedForward(layer, x)));
    });
  });
  return x;
}

/** The logits of the rows that `outputRows` [R] names, [R, V]. */
export function recordLogits(r: Recorder, config: LlamaConfig, w: LlamaWeights, x: Value, outputRows: Input): Value {
  const last = r.tap("norm", r.rmsNorm(r.gatherRows(x, outputRows), w.norm, config.normEps)); // [R, D]
  return r.tap("logits", r.matmul(last, w.lmHead));
}

/** The two blocks of a layer, each with its norm before it and the residual left to the caller; bound to what all layers share. */
function blocks(r: Recorder, { rope, normEps, headSize }: LlamaConfig, w: LlamaWeights, step: StepInputs) {
  const angles = r.ropeAngles(step.positions, w.inverseFrequencies, { scale: attentionFactor(rope) }); // [T, d / 2, 2]
  return {
    attention(layer: LlamaLayer, cache: CacheState<Tensor>, x: Value): Value {
      const h = r.rmsNorm(x, layer.inputNorm, normEps);
      const q = r.rope(r.matmul(h, layer.qProj), angles); // [T, H·d]
      const k = r.rope(r.matmul(h, layer.kProj), angles); // [T, G·d]
      const v = r.matmul(h, layer.vProj); // [T, G·d]
      const written = r.appendKv(k, v, cache, step);
      return r.matmul(r.attention(q, written, step, 1 / Math.sqrt(headSize)), layer.oProj); // [T, D]
    },
    feedForward(layer: LlamaLayer, x: Value): Value {
      const h = r.rmsNorm(x, layer.postAttentionNorm, normEps);
      return r.matmul(r.swiglu(r.matmul(h, layer.gateProj), r.matmul(h, layer.upProj)), layer.downProj); // [T, D]
    },
  };
}

// Llama 3 (arXiv:2407.21783 §3.2): a pre-norm decoder with grouped-query attention, rotary positions, SwiGLU and RMSNorm.
//
// T rows in the step, R rows whose logits are wanted, D hidden, H/G query/key-value heads, d head size, F feed-forward, V
// vocabulary. Ids, slots and positions are contents of the step's tensors: one recording serves every step of T rows.
import type { Tensor } from "../device/tensor.js";
import type { CacheState, Input, Recorder, RowPlaces, Value } from "../graph/recorder.js";
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

/** The layers: the hidden state of every row before the last norm, [T, D]. */
export function recordLayers(
  r: Recorder,
  config: LlamaConfig,
  w: LlamaWeights,
  cache: readonly CacheState<Tensor>[],
  step: StepInputs,
): Value {
  const scale = attentionFactor(config.rope);
  const angles = r.ropeAngles(step.positions, w.inverseFrequencies, { scale }); // [T, d / 2, 2]
  let x = r.tap("embedding", r.gatherRows(w.embedTokens, step.ids)); // [T, D]
  w.layers.forEach((layer, i) => {
    const attended = attention(
      r,
      config,
      layer,
      cache[i]!,
      step,
      angles,
      r.rmsNorm(x, layer.inputNorm, config.normEps),
    );
    x = r.tap(`layers.${i}.attention`, r.add(x, attended));
    x = r.tap(
      `layers.${i}.mlp`,
      r.add(x, feedForward(r, layer, r.rmsNorm(x, layer.postAttentionNorm, config.normEps))),
    );
  });
  return x;
}

/** The logits of the rows that `outputRows` [R] names, [R, V]. */
export function recordLogits(r: Recorder, config: LlamaConfig, w: LlamaWeights, x: Value, outputRows: Tensor): Value {
  const last = r.tap("norm", r.rmsNorm(r.gatherRows(x, outputRows), w.norm, config.normEps)); // [R, D]
  return r.tap("logits", r.matmul(last, w.lmHead));
}

function attention(
  r: Recorder,
  config: LlamaConfig,
  layer: LlamaLayer,
  cache: CacheState<Tensor>,
  step: StepInputs,
  angles: Value,
  x: Value,
): Value {
  const q = r.rope(r.matmul(x, layer.qProj), angles); // [T, H·d]
  const k = r.rope(r.matmul(x, layer.kProj), angles); // [T, G·d]
  const v = r.matmul(x, layer.vProj); // [T, G·d]
  const written = r.appendKv(k, v, cache, step);
  return r.matmul(r.attention(q, written, step, 1 / Math.sqrt(config.headSize)), layer.oProj); // [T, D]
}

function feedForward(r: Recorder, layer: LlamaLayer, x: Value): Value {
  return r.matmul(r.swiglu(r.matmul(x, layer.gateProj), r.matmul(x, layer.upProj)), layer.downProj); // [T, D]
}

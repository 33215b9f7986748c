// The rows of the op table that only training has: gradients, the loss, the optimizers. What letters and kinds mean is said in ops.ts.
import type { OpRow } from "./op-row.js";

/** Settings of `clipNorm`, `adamW` and `norMuon` in their operand `settings`. */
export const CLIP_SETTINGS = ["scale", "greatest", "limit"] as const;
export const ADAMW_SETTINGS = [
  ...(["rate", "keep", "epsilon"] as const),
  ...(["beta1", "gain1", "correction1"] as const),
  ...(["beta2", "gain2", "correction2"] as const),
] as const;
export const MUON_SETTINGS = ["rate", "keep", "epsilon", "beta", "gain"] as const;

export const TRAINING_OPS = {
  /** a · b, with b's columns for the rows that matmul takes. What a loss's gradient is handed back through a matmul by. */
  matmulPlain: {
    code: 19,
    operands: { a: ["T N", "f32"], b: ["N K", "f32"] },
    results: { out: ["T K", "f32"] },
    least: { N: 1 },
  },
  /** sum + aᵀ · b, over the rows: the gradient of matmul's b. */
  matmulOverRows: {
    code: 20,
    operands: { a: ["T N", "f32"], b: ["T K", "f32"], sum: ["N K", "f32"] },
    results: {},
    updates: ["sum"],
  },
  /** sum + value: what gradients add up in. */
  accumulate: {
    code: 21,
    operands: { value: ["N D", "f32"], sum: ["N D", "f32"] },
    results: {},
    updates: ["sum"],
  },
  /** out[n] = Σ rows[t] over the t with ids[t] = n; ids that are no row of out are left out. The gradient of gatherRows's table. */
  scatterAddRows: {
    code: 22,
    operands: { rows: ["T D", "f32"], ids: ["T", "i32"] },
    results: { out: ["N D", "f32"] },
  },
  /** The gradients of rmsNorm's x and weight, the latter summed over the rows. */
  rmsNormBackward: {
    code: 23,
    operands: { x: ["T D", "f32"], weight: ["D", "weight"], dOut: ["T D", "f32"] },
    results: { dX: ["T D", "f32"], dWeight: ["1 D", "f32"] },
    attributes: { epsilon: "f32" },
    least: { D: 1 },
  },
  /** The gradient of rope's x: turned back by the row's angles, and stretched as before. */
  ropeBackward: {
    code: 24,
    operands: { dOut: ["T n*2*half", "f32"], angles: ["T half 2", "f32"] },
    results: { dX: ["T n*2*half", "f32"] },
    inPlace: { dX: ["dOut"] },
    least: { half: 1 },
  },
  /** The gradients of swiglu's gate and up. */
  swigluBackward: {
    code: 25,
    operands: { gate: ["T F", "f32"], up: ["T F", "f32"], dOut: ["T F", "f32"] },
    results: { dGate: ["T F", "f32"], dUp: ["T F", "f32"] },
    inPlace: { dGate: ["gate", "up", "dOut"], dUp: ["gate", "up", "dOut"] },
  },
  /**
   * The gradients of q, k and v of causal attention within the rows: a row sees those of its run, the adjacent rows of its slot, up to
   * itself. Rows whose slot is −1 are padding. headSize is d: W = G · d, and its n query heads to a key/value head.
   */
  attentionBackward: {
    code: 26,
    operands: {
      ...({ q: ["T n*W", "f32"], k: ["T W", "f32"], v: ["T W", "f32"] } as const),
      ...({ out: ["T n*W", "f32"], dOut: ["T n*W", "f32"], slots: ["T", "i32"] } as const),
    },
    results: { dQ: ["T n*W", "f32"], dK: ["T W", "f32"], dV: ["T W", "f32"] },
    attributes: { scale: "f32", headSize: "u32" },
    least: { n: 1, W: 1 },
  },
  /**
   * losses = weights · −log softmax(logits)[targets], and the gradient of their sum. A row whose target is no id of the vocabulary has no
   * loss.
   */
  crossEntropy: {
    code: 27,
    operands: { logits: ["R V", "f32"], targets: ["R", "i32"], weights: ["R", "f32"] },
    results: { losses: ["R", "f32"], dLogits: ["R V", "f32"] },
    inPlace: { dLogits: ["logits"] },
    least: { V: 1 },
  },
  /** log softmax(logits)[targets], 0 where the target is no id of the vocabulary. */
  tokenLogprobs: {
    code: 28,
    operands: { logits: ["R V", "f32"], targets: ["R", "i32"] },
    results: { logprobs: ["R", "f32"] },
    least: { V: 1 },
  },
  /** Σ x². */
  sumSquares: {
    code: 29,
    operands: { x: ["E", "f32"] },
    results: { out: ["1", "f32"] },
  },
  /**
   * The norm of gradients that are `scale` times the sum that `squares` is of, and what to multiply that sum by: `scale`, less where the
   * norm is above `greatest`, and 0, which says that no step is made, where it is above `limit` or no number.
   */
  clipNorm: {
    code: 30,
    operands: { squares: ["1", "f32"], settings: [`${CLIP_SETTINGS.length}`, "f32"] },
    results: { norm: ["1", "f32"], factor: ["1", "f32"] },
    fields: { clipSettings: CLIP_SETTINGS },
  },
  /**
   * A step of AdamW (arXiv:1711.05101) by the gradient factor · gradient, which is 0 afterwards; with a factor of 0 nothing else is. Of the
   * settings, keep = 1 − rate · decay, gain = 1 − beta, correction = 1 − betaᵗ in step t.
   */
  adamW: {
    code: 31,
    operands: {
      ...({ parameter: ["E", "f32"], gradient: ["E", "f32"], momentum: ["E", "f32"], variance: ["E", "f32"] } as const),
      ...({ factor: ["1", "f32"], settings: [`${ADAMW_SETTINGS.length}`, "f32"] } as const),
    },
    results: {},
    updates: ["parameter", "gradient", "momentum", "variance"],
    fields: { adamWSettings: ADAMW_SETTINGS },
  },
  /**
   * Nesterov's momentum: with g = factor · gradient, momentum' = beta · momentum + g and out = beta · momentum' + g. The gradient is 0
   * afterwards; with a factor of 0 the momentum is as it was, and out is 0.
   */
  nesterov: {
    code: 32,
    operands: { gradient: ["N K", "f32"], momentum: ["N K", "f32"], factor: ["1", "f32"] },
    results: { out: ["N K", "f32"] },
    updates: ["gradient", "momentum"],
    attributes: { beta: "f32" },
  },
  /** x / (√Σ x² + epsilon): a matrix of norm 1. */
  divideByNorm: {
    code: 33,
    operands: { x: ["N K", "f32"] },
    results: { out: ["N K", "f32"] },
    inPlace: { out: ["x"] },
    attributes: { epsilon: "f32" },
  },
  /** alpha · a + beta · b. */
  combine: {
    code: 34,
    operands: { a: ["N K", "f32"], b: ["N K", "f32"] },
    results: { out: ["N K", "f32"] },
    inPlace: { out: ["a", "b"] },
    attributes: { alpha: "f32", beta: "f32" },
  },
  /** xᵀ. */
  transpose: {
    code: 35,
    operands: { x: ["N K", "f32"] },
    results: { out: ["K N", "f32"] },
  },
  /**
   * A step of NorMuon (arXiv:2510.05491) by an orthogonal update: its rows are divided by the running root of their mean squares, whose
   * mean is `variance` (' = beta · variance + gain · mean), and then all by what gives the update its norm back. It is scaled by
   * √max(1, N / K), so that square, wide and tall matrices learn alike. keep = 1 − rate · decay holds where a weight and its update have
   * one sign, as elsewhere the step itself makes it larger (cautious decay, arXiv:2510.12402). With a factor of 0 nothing changes.
   */
  norMuon: {
    code: 36,
    operands: {
      ...({ parameter: ["N K", "f32"], update: ["N K", "f32"], variance: ["N", "f32"] } as const),
      ...({ factor: ["1", "f32"], settings: [`${MUON_SETTINGS.length}`, "f32"] } as const),
    },
    results: {},
    updates: ["parameter", "variance"],
    fields: { norMuonSettings: MUON_SETTINGS },
    least: { K: 1 },
  },
  /** average + share · (value − average): the running mean of a parameter. */
  movingAverage: {
    code: 37,
    operands: { value: ["E", "f32"], average: ["E", "f32"], share: ["1", "f32"] },
    results: {},
    updates: ["average"],
  },
} as const satisfies Readonly<Record<string, OpRow>>;

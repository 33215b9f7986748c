// The op table: one row an op, and all that is said about it anywhere. The recorder checks and names results by it, passes
// read it, program.ts writes by it, and scripts/op-table.js makes native/core/op_table.inc of it, by which native code
// checks every program (native/core/op_table.cc) and kernels name their operands.
//
// Shapes are written in letters, each of which stands for one number in an op. What they mean everywhere:
//
//   T rows of the step        D features                 G key/value heads       S slots (sequences)
//   R rows wanted             N, K out- and in-features   d head size, half: d/2  B blocks (pages that a slot can hold)
//   V vocabulary              F feed-forward features     n heads to one of G     C context positions
//   E elements, as they lie   W features of all key/value heads together
//
// Words are letters, too: pages of the cache, best ids to report, biases and stopIds of a slot.
//
// A letter that is everywhere a first dim by itself, such as T and R, may be the rows of a run: the program is made for the most, and
// every run has its own number of them (signatures.ts, docs/decisions/0019).
//
// A dim is a product of letters and numbers, such as n*G*d: of its letters one may be known by this dim alone, and is then what
// is left by exact division. 64 is the page (PAGE_KEYS).
import type { DType } from "../device/tensor.js";

/** Keys in a page of the cache, which is also the key block of the attention order (docs/numerics.md). */
export const PAGE_KEYS = 64;

/** Element types that an operand of each kind may have. */
export const KINDS = {
  f32: ["f32"],
  i32: ["i32"],
  weight: ["f32", "f16", "bf16"],
  packed: ["q8", "q6", "q4"],
  matrix: ["f32", "f16", "bf16", "q8", "q6", "q4"],
  cache: ["f32", "f16", "i8"],
  index: ["i32"],
} as const satisfies Readonly<Record<string, readonly DType[]>>;

/**
 * What an operand may be: one of {@link KINDS}, or
 * "like keys": of the dtype that the operand keys has ·
 * "index 64*B": i32 contents that the op uses as addresses, in [−1, 64 · B) by the declared bound of their buffer ·
 * "index": i32 contents with a declared bound, whatever it is.
 */
export type OperandKind = keyof typeof KINDS | `like ${string}` | `index ${string}`;

/** "table: [N, D] matrix" is written `table: ["N D", "matrix"]`. */
type Operands = Readonly<Record<string, readonly [dims: string, kind: OperandKind]>>;

export interface OpRow {
  /** Number in the program stream: its place in the table. */
  readonly code: number;
  /** In the order of the stream. */
  readonly operands: Operands;
  /** New values, in the order of the stream, after the operands. */
  readonly results: Readonly<Record<string, readonly [dims: string, dtype: "f32" | "i32"]>>;
  /** Operands that are there exactly when another one has a certain dtype; after the results in the stream. */
  readonly optional?: { readonly when: readonly [operand: string, dtype: DType]; readonly operands: Operands };
  /**
   * State operands that the op writes in place; each yields a new version of that state as a result of the op. Where one is an
   * index, the kernel promises to keep the bound of its buffer: nothing else may write one.
   */
  readonly updates?: readonly string[];
  /** Of each result, the operands whose memory it may take over: the kernel may write it over exactly their bytes. */
  readonly inPlace?: Readonly<Record<string, readonly string[]>>;
  /** Attributes: what a model fixes once. What changes from step to step is contents of operands. */
  readonly attributes?: Readonly<Record<string, "f32" | "u32">>;
  /** The least that a letter may be, where that is not 0. */
  readonly least?: Readonly<Record<string, number>>;
  /** A letter that a letter may not exceed. */
  readonly most?: Readonly<Record<string, string>>;
  /** Names of what lies in the last dim of operands with fixed contents, for kernels: kTemperature … kFloatSettings. */
  readonly fields?: Readonly<Record<string, readonly string[]>>;
}

const CACHE = {
  keys: ["pages G d 64", "cache"],
  values: ["pages G 64 d", "like keys"],
} as const satisfies Operands;
const CACHE_SCALES = {
  when: ["keys", "i8"],
  operands: { keyScales: ["pages G 64", "f32"], valueScales: ["pages G 64", "f32"] },
} as const satisfies OpRow["optional"];
const ROWS = {
  slots: ["T", "index S"],
  positions: ["T", "index 64*B"],
  pageTable: ["S B", "index pages"],
} as const satisfies Operands;

/** Settings of `sample` in its operands `floats` and `ints`. */
export const SAMPLE_FLOATS = [
  "temperature",
  "topP",
  "minP",
  "repeatPenalty",
  "presencePenalty",
  "frequencyPenalty",
] as const;
export const SAMPLE_INTS = ["topK", "promptLength", "seedLow", "seedHigh"] as const;

/** Settings of `clipNorm` and `adamW` in their operand `settings`. */
export const CLIP_SETTINGS = ["scale", "greatest", "limit"] as const;
export const ADAMW_SETTINGS = [
  ...(["rate", "keep", "epsilon"] as const),
  ...(["beta1", "gain1", "correction1"] as const),
  ...(["beta2", "gain2", "correction2"] as const),
] as const;

/** What `sample` reads beside logits, and what it gives. */
const REQUESTS = {
  outputRows: ["R", "index T"],
  slots: ["T", "index S"],
  positions: ["T", "index C"],
  history: ["S C", "index V"], // ids by position, −1 none
  floats: [`S ${SAMPLE_FLOATS.length}`, "f32"],
  ints: [`S ${SAMPLE_INTS.length}`, "i32"],
  biasIds: ["S biases", "index V"], // −1 ends them
  biases: ["S biases", "f32"],
} as const satisfies Operands;
const SAMPLED = {
  results: { ids: ["R", "i32"], logprobs: ["R", "f32"], bestIds: ["R best", "i32"], bestLogprobs: ["R best", "f32"] },
  least: { best: 1 },
  most: { best: "V" },
} as const satisfies Pick<OpRow, "results" | "least" | "most">;

export const OPS = {
  /** out[t] = table[ids[t]], zeros where that is no row. Embedding; picking the rows whose logits are wanted. */
  gatherRows: {
    code: 0,
    operands: { table: ["N D", "matrix"], ids: ["T", "i32"] },
    results: { out: ["T D", "f32"] },
  },
  /** x · rsqrt(mean(x²) + epsilon) · weight. */
  rmsNorm: {
    code: 1,
    operands: { x: ["T D", "f32"], weight: ["D", "weight"] },
    results: { out: ["T D", "f32"] },
    inPlace: { out: ["x"] },
    attributes: { epsilon: "f32" },
    least: { D: 1 },
  },
  /** a · bᵀ, b as it lies in the checkpoint: one row an output feature. */
  matmul: {
    code: 2,
    operands: { a: ["T K", "f32"], b: ["N K", "matrix"] },
    results: { out: ["T N", "f32"] },
    least: { K: 1 },
  },
  /** a + b: residuals. */
  add: {
    code: 3,
    operands: { a: ["T D", "f32"], b: ["T D", "f32"] },
    results: { out: ["T D", "f32"] },
    inPlace: { out: ["a", "b"] },
  },
  /** scale · cosine and sine of position · frequency, once a step for all layers and heads. */
  ropeAngles: {
    code: 4,
    operands: { positions: ["T", "i32"], inverseFrequencies: ["half", "f32"] },
    results: { out: ["T half 2", "f32"] },
    attributes: { scale: "f32" },
  },
  /** Rotates the pairs (j, j + d/2) of each of n heads by the row's angles, and stretches them by the angles' scale. */
  rope: {
    code: 5,
    operands: { x: ["T n*2*half", "f32"], angles: ["T half 2", "f32"] },
    results: { out: ["T n*2*half", "f32"] },
    inPlace: { out: ["x"] },
    least: { half: 1 },
  },
  /** Writes key and value rows to the pages of their slots. */
  appendKv: {
    code: 6,
    operands: { k: ["T G*d", "f32"], v: ["T G*d", "f32"], ...ROWS, ...CACHE },
    results: {},
    optional: CACHE_SCALES,
    updates: ["keys", "values", "keyScales", "valueScales"],
    least: { G: 1, d: 1 },
  },
  /** Causal grouped-query attention of each row over its slot's keys 0 … position; n query heads to a key/value head. */
  attention: {
    code: 7,
    operands: { q: ["T n*G*d", "f32"], ...CACHE, ...ROWS },
    results: { out: ["T n*G*d", "f32"] },
    optional: CACHE_SCALES,
    attributes: { scale: "f32" },
    least: { n: 1, G: 1, d: 1 },
  },
  /** silu(gate) · up. */
  swiglu: {
    code: 8,
    operands: { gate: ["T F", "f32"], up: ["T F", "f32"] },
    results: { out: ["T F", "f32"] },
    inPlace: { out: ["gate", "up"] },
  },
  /** The next id of each wanted row with its logprob, and the best k. Settings are contents, one row a slot. */
  sample: {
    code: 9,
    operands: { logits: ["R V", "f32"], ...REQUESTS },
    ...SAMPLED,
    fields: { floatSettings: SAMPLE_FLOATS, intSettings: SAMPLE_INTS },
  },
  /**
   * Leaves what was sampled where the slot's next step finds it (`resume`): its id and position by slot, and the id in the history. A
   * stop id, a full context or nothing drawn leave the position −1: the slot has ended.
   */
  advance: {
    code: 10,
    operands: {
      sampled: ["R", "i32"],
      outputRows: ["R", "index T"],
      slots: ["T", "index S"],
      positions: ["T", "index C"],
      stops: ["S stopIds", "i32"], // −1 unused
      lastIds: ["S", "i32"],
      nextPositions: ["S", "index C"],
      history: ["S C", "index"],
    },
    results: {},
    updates: ["lastIds", "nextPositions", "history"],
  },
  /**
   * The rows of a step as its other ops read them: those that the host has written, and at position −1 what the slot's last step
   * has left. A row of a slot that has ended becomes padding.
   */
  resume: {
    code: 11,
    operands: {
      rowIds: ["T", "i32"],
      rowSlots: ["T", "index S"],
      rowPositions: ["T", "i32"],
      lastIds: ["S", "i32"],
      nextPositions: ["S", "index"],
      ids: ["T", "i32"],
      slots: ["T", "index"],
      positions: ["T", "index"],
    },
    results: {},
    updates: ["ids", "slots", "positions"],
  },
  /**
   * residual + a · bᵀ, as matmul and add. The result may not take the residual's place: a product's sum comes in parts, which
   * would.
   */
  matmulAdd: {
    code: 12,
    operands: { a: ["T K", "f32"], b: ["N K", "matrix"], residual: ["T N", "f32"] },
    results: { out: ["T N", "f32"] },
    least: { K: 1 },
  },
  /** silu(a · gateᵀ) · (a · upᵀ), as two matmuls and swiglu. */
  matmulSwiglu: {
    code: 13,
    operands: { a: ["T K", "f32"], gate: ["F K", "matrix"], up: ["F K", "like gate"] },
    results: { out: ["T F", "f32"] },
    least: { K: 1 },
  },
  /** Weights as codes of the format of `packed` (docs/numerics.md); one that is no number, or too large for a scale, is an error. */
  quantize: {
    code: 14,
    operands: { weight: ["N K", "weight"], packed: ["N K", "packed"] },
    results: {},
    updates: ["packed"],
  },
  /** rmsNorm and matmulSwiglu of it. */
  normMatmulSwiglu: {
    code: 15,
    operands: { x: ["T K", "f32"], norm: ["K", "weight"], gate: ["F K", "matrix"], up: ["F K", "like gate"] },
    results: { out: ["T F", "f32"] },
    attributes: { epsilon: "f32" },
    least: { K: 1 },
  },
  /** rmsNorm, three matmuls of it, rope of the queries, which are the result, and of the keys, and appendKv. */
  normQkv: {
    code: 16,
    operands: {
      x: ["T K", "f32"],
      norm: ["K", "weight"],
      query: ["n*G*2*half K", "matrix"],
      key: ["G*2*half K", "matrix"],
      value: ["G*2*half K", "matrix"],
      angles: ["T half 2", "f32"],
      ...ROWS,
      keys: ["pages G 2*half 64", "cache"],
      values: ["pages G 64 2*half", "like keys"],
    },
    results: { out: ["T n*G*2*half", "f32"] },
    optional: CACHE_SCALES,
    updates: ["keys", "values", "keyScales", "valueScales"],
    attributes: { epsilon: "f32" },
    least: { K: 1, n: 1, G: 1, half: 1 },
  },
  /** gatherRows and rmsNorm of it. */
  gatherNorm: {
    code: 17,
    operands: { table: ["N D", "matrix"], ids: ["T", "i32"], weight: ["D", "weight"] },
    results: { out: ["T D", "f32"] },
    attributes: { epsilon: "f32" },
    least: { D: 1 },
  },
  /** matmul of the head and sample of its logits. */
  matmulSample: {
    code: 18,
    operands: { a: ["R K", "f32"], b: ["V K", "matrix"], ...REQUESTS },
    ...SAMPLED,
    least: { ...SAMPLED.least, K: 1 },
  },
  /** a · b: as matmul, with b's columns for its rows. What a loss's gradient is handed back through a matmul by. */
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
} as const satisfies Readonly<Record<string, OpRow>>;

export type OpName = keyof typeof OPS;

export function opRow(name: OpName): OpRow {
  return OPS[name];
}

type Row<N extends OpName> = (typeof OPS)[N];
type Optional<N extends OpName> = Row<N> extends { optional: { operands: infer O } } ? keyof O : never;
type Updated<N extends OpName> = Row<N> extends { updates: readonly (infer U extends string)[] } ? U : never;

/** What an op takes, by name; its optional operands are there all or none. */
export type OperandsOf<N extends OpName, T> = { readonly [K in keyof Row<N>["operands"]]: T } & {
  readonly [K in Optional<N>]?: T | undefined;
};

/** What an op yields, by name: its results and the new versions of the state that it updates. */
export type ResultsOf<N extends OpName, T> = {
  readonly [K in keyof Row<N>["results"] | Exclude<Updated<N>, Optional<N>>]: T;
} & { readonly [K in Extract<Updated<N>, Optional<N>>]?: T };

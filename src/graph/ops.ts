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
import type { Operands, OpRow } from "./op-row.js";
import { TRAINING_OPS } from "./training-ops.js";

/** Keys in a page of the cache, which is also the key block of the attention order (docs/numerics.md). */
export const PAGE_KEYS = 64;

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
  ...TRAINING_OPS,
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

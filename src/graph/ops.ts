// The op table: one row an op. The recorder checks and names results by it, passes read it, program.ts writes by it, and
// native/core/op_table.{h,cc} is the same table with the checks that memory safety needs (test/unit/graph/adding-an-op.test.ts holds
// the two together; docs/adding-an-op.md lists what an op consists of).
//
// Shapes are written in letters: T rows in the step, R rows wanted, D features, N rows of a weight, K features of its rows,
// S slots (sequences), B blocks (pages a slot can hold), C context positions, V vocabulary, G key/value heads, d head size.
// A letter stands for one number in an op; 64 is the page (PAGE_KEYS).
import { QuipuError } from "../errors.js";

/** Keys in a page of the cache, which is also the key block of the attention order (docs/numerics.md). */
export const PAGE_KEYS = 64;

/**
 * What an operand may be:
 * "f32", "i32": exactly that · "weight": f32, f16 or bf16 · "cache": f32, f16 or i8 · "index": i32 with a declared bound.
 */
export type OperandKind = "f32" | "i32" | "weight" | "cache" | "index";

/** "table: [N, D] weight" is written `table: ["N D", "weight"]`. */
type Operands = Readonly<Record<string, readonly [dims: string, kind: OperandKind]>>;

export interface OpRow {
  /** Number in the program stream (native/core/op_table.h). */
  readonly code: number;
  /** In the order of the stream. */
  readonly operands: Operands;
  /** New values, in the order of the stream, after the operands. */
  readonly results: Readonly<Record<string, readonly [dims: string, dtype: "f32" | "i32"]>>;
  /** Operands that may be absent, all or none; after the results in the stream. */
  readonly optional?: Operands;
  /** State operands that the op writes in place; each yields a new version of that state as a result of the op. */
  readonly updates?: readonly string[];
  /** Operands whose memory the first result may take over. */
  readonly inPlace?: readonly string[];
  /** Attributes: what a model fixes once. What changes from step to step is contents of operands. */
  readonly attributes?: Readonly<Record<string, "f32" | "u32">>;
  /** What letters cannot say about the shapes; returns what is wrong. */
  readonly check?: (dims: Readonly<Record<string, number>>) => string | undefined;
  /** Floating-point operations (a multiply-add is two), for the figures of `inspect` and `--benchmark`. */
  readonly flops: (dims: Readonly<Record<string, number>>) => number;
}

const CACHE = {
  keys: ["pages G d 64", "cache"],
  values: ["pages G 64 d", "cache"],
} as const satisfies Operands;
const CACHE_SCALES = {
  keyScales: ["pages G 64", "f32"],
  valueScales: ["pages G 64", "f32"],
} as const satisfies Operands;
const ROWS = {
  slots: ["T", "index"],
  positions: ["T", "index"],
  pageTable: ["S B", "index"],
} as const satisfies Operands;

const multiple = (whole: number | undefined, part: number | undefined, what: string) =>
  whole === undefined || part === undefined || part === 0 || whole % part !== 0
    ? `${what}: ${whole} is no multiple of ${part}`
    : undefined;

export const OPS = {
  /** out[t] = table[ids[t] − firstRow], zeros where that is no row. Embedding; picking the rows whose logits are wanted. */
  gatherRows: {
    code: 0,
    operands: { table: ["N D", "weight"], ids: ["T", "i32"] },
    results: { out: ["T D", "f32"] },
    attributes: { firstRow: "u32" },
    flops: () => 0,
  },
  /** x · rsqrt(mean(x²) + epsilon) · weight. */
  rmsNorm: {
    code: 1,
    operands: { x: ["T D", "f32"], weight: ["D", "weight"] },
    results: { out: ["T D", "f32"] },
    inPlace: ["x"],
    attributes: { epsilon: "f32" },
    flops: ({ T, D }) => 4 * T! * D!,
  },
  /** a · bᵀ, b as it lies in the checkpoint: one row an output feature. */
  matmul: {
    code: 2,
    operands: { a: ["T K", "f32"], b: ["N K", "weight"] },
    results: { out: ["T N", "f32"] },
    flops: ({ T, K, N }) => 2 * T! * K! * N!,
  },
  /** a + b: residuals. */
  add: {
    code: 3,
    operands: { a: ["T D", "f32"], b: ["T D", "f32"] },
    results: { out: ["T D", "f32"] },
    inPlace: ["a", "b"],
    flops: ({ T, D }) => T! * D!,
  },
  /** scale · cosine and sine of position · frequency, once a step for all layers and heads. */
  ropeAngles: {
    code: 4,
    operands: { positions: ["T", "i32"], inverseFrequencies: ["half", "f32"] },
    results: { out: ["T half 2", "f32"] },
    attributes: { scale: "f32" },
    flops: ({ T, half }) => 40 * T! * half!,
  },
  /** Rotates the pairs (j, j + d/2) of every head by the row's angles, and stretches them by the angles' scale; inverse: the transpose. */
  rope: {
    code: 5,
    operands: { x: ["T D", "f32"], angles: ["T half 2", "f32"] },
    results: { out: ["T D", "f32"] },
    inPlace: ["x"],
    attributes: { inverse: "u32" },
    check: ({ D, half }) => multiple(D, 2 * (half ?? 0), "features of x and the head size"),
    flops: ({ T, D }) => 3 * T! * D!,
  },
  /** Writes key and value rows to the pages of their slots. */
  appendKv: {
    code: 6,
    operands: { k: ["T D", "f32"], v: ["T D", "f32"], ...ROWS, ...CACHE },
    results: {},
    optional: CACHE_SCALES,
    updates: ["keys", "values", "keyScales", "valueScales"],
    check: ({ D, G, d }) => (D === G! * d! ? undefined : `features of k: expected ${G} heads of ${d}, got ${D}`),
    flops: () => 0,
  },
  /** Causal grouped-query attention of each row over its slot's keys 0 … position. */
  attention: {
    code: 7,
    operands: { q: ["T D", "f32"], ...CACHE, ...ROWS },
    results: { out: ["T D", "f32"] },
    optional: CACHE_SCALES,
    attributes: { scale: "f32" },
    check: ({ D, G, d }) => multiple(D, G! * d!, "features of q and of the cache's heads"),
    flops: () => 0, // depends on contents: 4 · D · keys visible to each row
  },
  /** silu(gate) · up. */
  swiglu: {
    code: 8,
    operands: { gate: ["T D", "f32"], up: ["T D", "f32"] },
    results: { out: ["T D", "f32"] },
    inPlace: ["gate", "up"],
    flops: ({ T, D }) => 20 * T! * D!,
  },
  /** The next id of each wanted row with its logprob, and the best k. Settings are contents, one row a slot. */
  sample: {
    code: 9,
    operands: {
      logits: ["R V", "f32"],
      outputRows: ["R", "index"],
      slots: ["T", "index"],
      positions: ["T", "index"],
      history: ["S C", "index"],
      floats: ["S 6", "f32"],
      ints: ["S 4", "i32"],
      biasIds: ["S biases", "index"],
      biases: ["S biases", "f32"],
    },
    results: { ids: ["R", "i32"], logprobs: ["R", "f32"], bestIds: ["R best", "i32"], bestLogprobs: ["R best", "f32"] },
    attributes: {},
    flops: ({ R, V }) => 20 * R! * V!,
  },
  /** Makes the sampled ids the next step's inputs, so that it runs without the host; flags stops by slot −1. */
  advance: {
    code: 10,
    operands: {
      sampled: ["R", "i32"],
      outputRows: ["R", "index"],
      stops: ["S stopIds", "i32"],
      ids: ["T", "index"],
      slots: ["T", "index"],
      positions: ["T", "index"],
      history: ["S C", "index"],
    },
    results: {},
    updates: ["ids", "slots", "positions", "history"],
    flops: () => 0,
  },
} as const satisfies Readonly<Record<string, OpRow>>;

export type OpName = keyof typeof OPS;

/** Settings of `sample` in its operands `floats` and `ints` (native/core/op_table.h, namespace sample). */
export const SAMPLE_FLOATS = [
  "temperature",
  "topP",
  "minP",
  "repeatPenalty",
  "presencePenalty",
  "frequencyPenalty",
] as const;
export const SAMPLE_INTS = ["topK", "promptLength", "seedLow", "seedHigh"] as const;

export function opRow(name: OpName): OpRow {
  return OPS[name];
}

/** Binds the letters of `pattern` to the numbers of `shape`, or throws saying which operand of which op does not fit. */
export function bindShape(
  op: string,
  operand: string,
  pattern: string,
  shape: readonly number[],
  dims: Record<string, number>,
) {
  const letters = pattern.split(" ");
  const fits =
    letters.length === shape.length &&
    letters.every((letter, i) => {
      const expected = /^\d+$/.test(letter) ? Number(letter) : dims[letter];
      if (expected === undefined) dims[letter] = shape[i]!;
      return expected === undefined || expected === shape[i];
    });
  if (!fits) {
    const expected = letters.map((letter) => (dims[letter] === undefined ? letter : `${letter} = ${dims[letter]}`));
    throw new QuipuError(
      "ERR_INTERNAL",
      `${op}: operand ${operand}: expected [${expected.join(", ")}], got [${shape.join(", ")}]`,
    );
  }
}

/** The numbers that `pattern` stands for, once its letters are bound. `best` letters of results come from `dims` too. */
export function shapeOf(pattern: string, dims: Readonly<Record<string, number>>): number[] {
  return pattern.split(" ").map((letter) => (/^\d+$/.test(letter) ? Number(letter) : dims[letter]!));
}

// What a row of the op table says. The rows are in ops.ts, which also says what their letters mean.
import type { DType } from "../device/tensor.js";

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
export type Operands = Readonly<Record<string, readonly [dims: string, kind: OperandKind]>>;

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

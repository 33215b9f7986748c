// What was recorded: ops in an order in which they can run, each with its operands, results and attributes by name, and the
// values that are wanted. A recording never changes; a pass makes a new one of it (passes/rewrite.ts).
import type { DType, Shape, Tensor } from "../device/tensor.js";
import type { OpName } from "./ops.js";

/** Rows of a step, T, and rows wanted of one, R: as many as a run has, or the most that a recording is made for. */
export interface RowCounts {
  readonly rows: number;
  readonly wanted: number;
}

/** Which of them a first dim is. */
export type RowCount = keyof RowCounts;

/** A result of an op, or state. */
export interface Value {
  readonly id: number;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** What its first dim is the most of, where every run has its own number; undefined: all dims are as they are. */
  readonly leading: RowCount | undefined;
  /** Where it lies, for state; values without one get memory from planMemory. */
  readonly tensor: Tensor | undefined;
}

export interface RecordedOp {
  readonly op: OpName;
  /** By the names of the op's row, in its order; optional ones last, if they are there. */
  readonly operands: Readonly<Record<string, Value>>;
  /** Results of the row, then the new versions of the state that it updates, by their names. */
  readonly results: Readonly<Record<string, Value>>;
  readonly attributes: Readonly<Record<string, number>>;
  /** The part of the model that it belongs to, such as "layers.3"; "" outside of all. */
  readonly region: string;
}

/** Makes a new recording of one, with the same outputs in the same order. */
export type Pass = (recording: Recording) => Recording;

export class Recording {
  readonly ops: readonly RecordedOp[];
  /** Values that live on after the run, each once. */
  readonly outputs: readonly Value[];
  /** The most that a run may have. */
  readonly capacity: RowCounts;
  readonly #producers = new Map<number, RecordedOp>();
  readonly #users = new Map<number, RecordedOp[]>();
  readonly #outputIds: ReadonlySet<number>;

  constructor(ops: readonly RecordedOp[], outputs: readonly Value[], capacity: RowCounts) {
    this.ops = ops;
    this.outputs = outputs;
    this.capacity = capacity;
    this.#outputIds = new Set(outputs.map(({ id }) => id));
    for (const op of ops) {
      for (const value of Object.values(op.results)) this.#producers.set(value.id, op);
      for (const { id } of Object.values(op.operands)) {
        const users = this.#users.get(id);
        if (users === undefined) this.#users.set(id, [op]);
        else users.push(op);
      }
    }
  }

  /** The op that made `value`; none for state as the run finds it. */
  producer(value: Value): RecordedOp | undefined {
    return this.#producers.get(value.id);
  }

  /** The ops that read `value`, in their order: each once for every operand that it is. */
  users(value: Value): readonly RecordedOp[] {
    return this.#users.get(value.id) ?? [];
  }

  isOutput(value: Value): boolean {
    return this.#outputIds.has(value.id);
  }
}

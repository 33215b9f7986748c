// The recorder: one method an op. A method checks its operands against the op's row, notes the op, and returns new values;
// nothing recorded is ever overwritten. State (weights, cache, step inputs) enters as tensors of the device; an op that
// writes state yields a new version of it, a value at the same place, and whoever needs what was written reads that version.
import type { DType, Shape, Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import type { OperandsOf, OpName, ResultsOf } from "./ops.js";
import { checkOperands, product, signatureOf } from "./signatures.js";

/** A result of an op, or state. */
export interface Value {
  readonly id: number;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Where it lies, for state; values without one get memory from planMemory. */
  readonly tensor: Tensor | undefined;
}

export interface RecordedOp {
  readonly op: OpName;
  /** In the order of the op's row; optional ones last. */
  readonly operands: readonly Value[];
  /** Results of the row, then the new versions of what it updates. */
  readonly results: readonly Value[];
  /** 32-bit words in the order of the row; f32 as bits. */
  readonly attributes: readonly number[];
}

export interface Recording {
  readonly ops: readonly RecordedOp[];
  /** Values that live on after the run, each in memory of its own. */
  readonly outputs: readonly Value[];
}

export type Input = Value | Tensor;

/** The results of `sample`, one row each wanted row. */
export type Sampled = ResultsOf<"sample", Value>;

/** A layer's cache: keys [pages, G, d, 64] and values [pages, G, 64, d]; i8 caches have scales [pages, G, 64]. */
export type CacheState<T extends Input = Input> = Pick<
  OperandsOf<"attention", T>,
  "keys" | "values" | "keyScales" | "valueScales"
>;

/** Where each row of the step belongs: slot and position [T], and the pages of each slot [S, B]. */
export type RowPlaces = Pick<OperandsOf<"attention", Input>, "slots" | "positions" | "pageTable">;

export class Recorder {
  readonly #ops: RecordedOp[] = [];
  readonly #outputs: Value[] = [];
  readonly #states = new Map<Tensor, Value>();
  readonly #keepTaps: boolean;
  readonly taps: Value[] = [];
  #values = 0;

  /** With `taps`, values marked by {@link tap} become outputs: for finding the first layer that differs. */
  constructor({ taps = false }: { taps?: boolean } = {}) {
    this.#keepTaps = taps;
  }

  /** The recording so far. */
  finish(): Recording {
    return { ops: [...this.#ops], outputs: [...this.#outputs] };
  }

  /** A tensor of the device as a value, where an op takes values. */
  input(tensor: Tensor): Value {
    return this.#valueOf(tensor);
  }

  /** Makes `value` an output: readable after the run. */
  output(value: Value): Value {
    this.#outputs.push(value);
    return value;
  }

  /** Names a value of interest, an output when taps are on. */
  tap(name: string, value: Value): Value {
    if (!this.#keepTaps) return value;
    const named = { ...value, name };
    // The named value takes the place of the one just recorded, as its producer's result.
    const index = this.#ops.findLastIndex((op) => op.results.includes(value));
    const producer = this.#ops[index]!;
    this.#ops[index] = { ...producer, results: producer.results.map((result) => (result === value ? named : result)) };
    this.taps.push(this.output(named));
    return named;
  }

  gatherRows(table: Input, ids: Input): Value {
    return this.#record("gatherRows", { table, ids }).out;
  }

  rmsNorm(x: Value, weight: Input, epsilon: number): Value {
    return this.#record("rmsNorm", { x, weight }, [floatBits(epsilon)]).out;
  }

  matmul(a: Input, b: Input): Value {
    return this.#record("matmul", { a, b }).out;
  }

  add(a: Value, b: Value): Value {
    return this.#record("add", { a, b }).out;
  }

  /** `scale`: what cosines and sines are multiplied by (YaRN's attention factor). */
  ropeAngles(positions: Input, inverseFrequencies: Input, { scale = 1 } = {}): Value {
    return this.#record("ropeAngles", { positions, inverseFrequencies }, [floatBits(scale)]).out;
  }

  rope(x: Value, angles: Value): Value {
    return this.#record("rope", { x, angles }).out;
  }

  /** The cache after the rows are written. */
  appendKv(k: Value, v: Value, cache: CacheState, { slots, positions, pageTable }: RowPlaces): CacheState<Value> {
    return this.#record("appendKv", { k, v, ...cache, slots, positions, pageTable });
  }

  attention(q: Value, cache: CacheState<Value>, { slots, positions, pageTable }: RowPlaces, scale: number): Value {
    return this.#record("attention", { q, ...cache, slots, positions, pageTable }, [floatBits(scale)]).out;
  }

  swiglu(gate: Value, up: Value): Value {
    return this.#record("swiglu", { gate, up }).out;
  }

  /** `best`: how many of the most likely ids to report, at least 1. */
  sample(logits: Value, inputs: Omit<OperandsOf<"sample", Input>, "logits">, best: number): Sampled {
    return this.#record("sample", { logits, ...inputs }, [], { best });
  }

  resume(rows: OperandsOf<"resume", Input>): ResultsOf<"resume", Value> {
    return this.#record("resume", rows);
  }

  advance(sampled: Value, state: Omit<OperandsOf<"advance", Input>, "sampled">): ResultsOf<"advance", Value> {
    return this.#record("advance", { sampled, ...state });
  }

  #record<N extends OpName>(
    op: N,
    inputs: OperandsOf<N, Input>,
    attributes: readonly number[] = [],
    given: Readonly<Record<string, number>> = {},
  ): ResultsOf<N, Value> {
    const signature = signatureOf(op);
    const named: Readonly<Record<string, Input | undefined>> = inputs;
    const values = signature.operands.map(({ name, role }) => {
      const input = role === "result" ? undefined : named[name];
      return input && this.#valueOf(input);
    });
    const numbers = checkOperands(signature, values, given);
    const results: Record<string, Value> = {};
    for (const { name, role, dims, dtypes } of signature.operands) {
      if (role !== "result") continue;
      const shape = dims.map((dim) => product(dim, numbers));
      results[name] = this.#value(`${op}.${name}`, dtypes[0]!, shape, undefined);
    }
    values.forEach((state, i) => {
      const { name, role } = signature.operands[i]!;
      if (state === undefined || role !== "updated") return;
      if (state.tensor === undefined) throw new QuipuError("ERR_INTERNAL", `${op}: ${name} must be state`);
      results[name] = this.#value(state.name, state.dtype, state.shape, state.tensor);
    });
    const operands = values.filter((value) => value !== undefined);
    this.#ops.push({ op, operands, results: Object.values(results), attributes });
    return results as ResultsOf<N, Value>;
  }

  #valueOf(input: Input): Value {
    if ("id" in input) return input;
    let value = this.#states.get(input);
    if (value === undefined) {
      value = this.#value(input.name, input.dtype, input.shape, input);
      this.#states.set(input, value);
    }
    return value;
  }

  #value(name: string, dtype: DType, shape: Shape, tensor: Tensor | undefined): Value {
    return { id: this.#values++, name, dtype, shape, tensor };
  }
}

const bits = new DataView(new ArrayBuffer(4));

function floatBits(x: number): number {
  bits.setFloat32(0, x);
  return bits.getUint32(0);
}

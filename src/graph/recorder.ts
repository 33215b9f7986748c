// The recorder: one method an op. A method checks its operands against the op's row, notes the op, and returns new values;
// nothing recorded is ever overwritten. State (weights, cache, step inputs) enters as tensors of the device; an op that
// writes state yields a new version of it, a value at the same place, and whoever needs what was written reads that version.
import type { DType, Shape, Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { bindShape, type OperandKind, type OpName, opRow, shapeOf } from "./ops.js";

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

type Input = Value | Tensor;

/** The four results of `sample`, one row each wanted row. */
export interface Sampled {
  readonly ids: Value;
  readonly logprobs: Value;
  readonly bestIds: Value;
  readonly bestLogprobs: Value;
}

/** A layer's cache: keys [pages, G, d, 64] and values [pages, G, 64, d]; i8 caches have scales [pages, G, 64]. */
export interface CacheState<T extends Input = Input> {
  readonly keys: T;
  readonly values: T;
  readonly keyScales?: T | undefined;
  readonly valueScales?: T | undefined;
}

/** Where each row of the step belongs: slot and position [T], and the pages of each slot [S, B]. */
export interface RowPlaces {
  readonly slots: Input;
  readonly positions: Input;
  readonly pageTable: Input;
}

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

  gatherRows(table: Input, ids: Input, { firstRow = 0 } = {}): Value {
    return this.#one("gatherRows", { table, ids }, [firstRow]);
  }

  rmsNorm(x: Value, weight: Input, epsilon: number): Value {
    return this.#one("rmsNorm", { x, weight }, [floatBits(epsilon)]);
  }

  matmul(a: Input, b: Input): Value {
    return this.#one("matmul", { a, b });
  }

  add(a: Value, b: Value): Value {
    return this.#one("add", { a, b });
  }

  /** `scale`: what cosines and sines are multiplied by (YaRN's attention factor). */
  ropeAngles(positions: Input, inverseFrequencies: Input, { scale = 1 } = {}): Value {
    return this.#one("ropeAngles", { positions, inverseFrequencies }, [floatBits(scale)]);
  }

  rope(x: Value, angles: Value, { inverse = false } = {}): Value {
    return this.#one("rope", { x, angles }, [inverse ? 1 : 0]);
  }

  /** The cache after the rows are written. */
  appendKv(k: Value, v: Value, cache: CacheState, { slots, positions, pageTable }: RowPlaces): CacheState<Value> {
    const { keys, values, keyScales, valueScales } = cache;
    const written = this.#record("appendKv", {
      k,
      v,
      slots,
      positions,
      pageTable,
      keys,
      values,
      keyScales,
      valueScales,
    });
    return written as unknown as CacheState<Value>;
  }

  attention(q: Value, cache: CacheState<Value>, { slots, positions, pageTable }: RowPlaces, scale: number): Value {
    return this.#one("attention", { q, ...cache, slots, positions, pageTable }, [floatBits(scale)]);
  }

  swiglu(gate: Value, up: Value): Value {
    return this.#one("swiglu", { gate, up });
  }

  /** `best`: how many of the most likely ids to report, at least 1. */
  sample(
    logits: Value,
    inputs: Record<"outputRows" | "slots" | "positions" | "history" | "floats" | "ints" | "biasIds" | "biases", Input>,
    best: number,
  ): Sampled {
    return this.#record("sample", { logits, ...inputs }, [], { best }) as unknown as Sampled;
  }

  advance(
    sampled: Value,
    state: Record<"outputRows" | "stops" | "ids" | "slots" | "positions" | "history", Input>,
  ): Record<"ids" | "slots" | "positions" | "history", Value> {
    return this.#record("advance", { sampled, ...state }) as Record<"ids" | "slots" | "positions" | "history", Value>;
  }

  #one(op: OpName, inputs: Record<string, Input | undefined>, attributes: number[] = []): Value {
    return this.#record(op, inputs, attributes).out!;
  }

  #record(
    op: OpName,
    inputs: Record<string, Input | undefined>,
    attributes: number[] = [],
    dims: Record<string, number> = {},
  ): Record<string, Value> {
    const row = opRow(op);
    const operands: Value[] = [];
    const given: Record<string, Value> = {};
    const take = (name: string, pattern: string, kind: OperandKind) => {
      const input = inputs[name];
      if (input === undefined) throw new QuipuError("ERR_INTERNAL", `${op}: operand ${name} is missing`);
      const value = this.#valueOf(input);
      if (!isOfKind(value, kind)) {
        throw new QuipuError(
          "ERR_INTERNAL",
          `${op}: operand ${name}: expected ${kind}, got ${value.dtype} (${value.name})`,
        );
      }
      bindShape(op, name, pattern, value.shape, dims);
      operands.push(value);
      given[name] = value;
    };
    for (const [name, [pattern, kind]] of Object.entries(row.operands)) take(name, pattern, kind);
    const optional = Object.entries(row.optional ?? {});
    if (optional.some(([name]) => inputs[name] !== undefined)) {
      for (const [name, [pattern, kind]] of optional) take(name, pattern, kind);
    }
    const problem = row.check?.(dims);
    if (problem !== undefined) throw new QuipuError("ERR_INTERNAL", `${op}: ${problem}`);

    const named: Record<string, Value> = {};
    for (const [name, [pattern, dtype]] of Object.entries(row.results)) {
      named[name] = this.#value(`${op}.${name}`, dtype, shapeOf(pattern, dims), undefined);
    }
    for (const name of row.updates ?? []) {
      const state = given[name];
      if (state === undefined) continue;
      if (state.tensor === undefined) throw new QuipuError("ERR_INTERNAL", `${op}: ${name} must be state`);
      named[name] = this.#value(state.name, state.dtype, state.shape, state.tensor);
    }
    this.#ops.push({ op, operands, results: Object.values(named), attributes });
    return named;
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

function isOfKind(value: Value, kind: OperandKind): boolean {
  switch (kind) {
    case "weight":
      return value.dtype === "f32" || value.dtype === "f16" || value.dtype === "bf16";
    case "cache":
      return value.dtype === "f32" || value.dtype === "f16" || value.dtype === "i8";
    case "index":
      return value.dtype === "i32" && (value.tensor?.indexBound ?? 0) > 0;
    default:
      return value.dtype === kind;
  }
}

const bits = new DataView(new ArrayBuffer(4));

function floatBits(x: number): number {
  bits.setFloat32(0, x);
  return bits.getUint32(0);
}

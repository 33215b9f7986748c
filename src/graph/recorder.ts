// The recorder: one method an op. A method checks its operands against the op's row, notes the op, and returns new values;
// nothing recorded is ever overwritten.
//
// State (weights, cache, step inputs) enters as tensors of the device. An op that writes state yields a new version of it, a
// value at the same place, and whoever needs what was written reads that version. Once there is one, no op may read an older
// version any more, nor take the tensor itself: a list that breaks this would run in one order only by luck.
//
// A recording is made for a capacity: rows of a step, and rows wanted. Inputs say which of them their first dim is, results have it
// from their operands, and every run says how many it has.
import type { NativeBuffer } from "../addon/addon-types.js";
import { formatShape, overlap, type Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { checkOperands } from "./check-operands.js";
import { type OperandsOf, type OpName, opRow, type ResultsOf } from "./ops.js";
import { type RecordedOp, Recording, type RowCount, type RowCounts, type Value } from "./recording.js";
import { product, rowsLetter, signatureOf } from "./signatures.js";

export type Input = Value | Tensor;

/** What a result will be. */
type Made = Pick<Value, "name" | "dtype" | "shape" | "leading">;

/** The four results of `sample`, one row each wanted row. */
export type Sampled = ResultsOf<"sample", Value>;

/** A layer's cache: keys [pages, G, d, 64] and values [pages, G, 64, d]; i8 caches have scales [pages, G, 64]. */
export type CacheState<T extends Input = Input> = Pick<
  OperandsOf<"attention", T>,
  "keys" | "values" | "keyScales" | "valueScales"
>;

/** Where each row of the step belongs: slot and position [T], and the pages of each slot [S, B]. */
export type RowPlaces = Pick<OperandsOf<"attention", Input>, "slots" | "positions" | "pageTable">;

interface RecorderOptions {
  /** Values marked by {@link Recorder.tap} become outputs: for finding the first layer that differs. */
  readonly taps?: boolean;
  /** The most rows that a run may have; default: no dim is a run's. */
  readonly capacity?: RowCounts;
}

export interface Tap {
  readonly name: string;
  readonly value: Value;
}

export class Recorder {
  readonly #ops: RecordedOp[] = [];
  readonly #outputs = new Map<number, Value>();
  readonly #states = new Map<Tensor, Value>();
  /** The newest versions of the state that ops have written, by the buffer where it lies. */
  readonly #updates = new Map<NativeBuffer, Value[]>();
  readonly #keepTaps: boolean;
  readonly #capacity: RowCounts;
  readonly taps: Tap[] = [];
  #region = "";
  #values = 0;

  constructor({ taps = false, capacity = { rows: 0, wanted: 0 } }: RecorderOptions = {}) {
    this.#keepTaps = taps;
    this.#capacity = capacity;
  }

  /** The recording so far. */
  finish(): Recording {
    return new Recording([...this.#ops], [...this.#outputs.values()], this.#capacity);
  }

  /** A tensor of the device as a value; with `leading`, its first dim is the most of these that a run may have. */
  input(tensor: Tensor, leading?: RowCount): Value {
    const value = this.#valueOf(tensor, leading);
    const most = leading && this.#capacity[leading];
    if (value.leading === leading && (most === undefined || tensor.shape[0] === most)) return value;
    const [expected, got] = [value.leading ?? "fixed dim", leading ?? "fixed dim"];
    const why = expected === got ? `expected the capacity of ${most} rows` : `it is known with the ${expected} first`;
    throw new QuipuError(
      "ERR_INTERNAL",
      `${formatShape(tensor.dtype, tensor.shape)} ${tensor.name}, ${got} first: ${why}`,
    );
  }

  /** Makes `value` an output: readable after the run. Idempotent. */
  output(value: Value): Value {
    this.#outputs.set(value.id, value);
    return value;
  }

  /** Gives what `record` records the name of a part of the model, inside the one that is open. */
  region<T>(name: string, record: () => T): T {
    const outer = this.#region;
    this.#region = inRegion(outer, name);
    try {
      return record();
    } finally {
      this.#region = outer;
    }
  }

  /** Names a value of interest, after the region that is open; an output when taps are on, which no pass may do without. */
  tap(name: string, value: Value): Value {
    if (this.#keepTaps) this.taps.push({ name: inRegion(this.#region, name), value: this.output(value) });
    return value;
  }

  /** `packed` with the codes of `weight`. */
  quantize(weight: Input, packed: Input): Value {
    return this.#record("quantize", { weight, packed }).packed;
  }

  gatherRows(table: Input, ids: Input): Value {
    return this.#record("gatherRows", { table, ids }).out;
  }

  rmsNorm(x: Value, weight: Input, epsilon: number): Value {
    return this.#record("rmsNorm", { x, weight }, { epsilon }).out;
  }

  matmul(a: Input, b: Input): Value {
    return this.#record("matmul", { a, b }).out;
  }

  /** a · b, of a [T, N] and b [N, K]. */
  matmulPlain(a: Input, b: Input): Value {
    return this.#record("matmulPlain", { a, b }).out;
  }

  add(a: Value, b: Value): Value {
    return this.#record("add", { a, b }).out;
  }

  /** `scale`: what cosines and sines are multiplied by (YaRN's attention factor). */
  ropeAngles(positions: Input, inverseFrequencies: Input, { scale = 1 } = {}): Value {
    return this.#record("ropeAngles", { positions, inverseFrequencies }, { scale }).out;
  }

  rope(x: Value, angles: Value): Value {
    return this.#record("rope", { x, angles }).out;
  }

  /** The cache after the rows are written. */
  appendKv(k: Value, v: Value, cache: CacheState, { slots, positions, pageTable }: RowPlaces): CacheState<Value> {
    return this.#record("appendKv", { k, v, ...cache, slots, positions, pageTable });
  }

  attention(q: Value, cache: CacheState<Value>, { slots, positions, pageTable }: RowPlaces, scale: number): Value {
    return this.#record("attention", { q, ...cache, slots, positions, pageTable }, { scale }).out;
  }

  swiglu(gate: Value, up: Value): Value {
    return this.#record("swiglu", { gate, up }).out;
  }

  /** `best`: how many of the most likely ids to report, at least 1. */
  sample(logits: Value, inputs: Omit<OperandsOf<"sample", Input>, "logits">, best: number): Sampled {
    return this.#record("sample", { logits, ...inputs }, {}, { best });
  }

  /** Weighted losses [R] of logits [R, V] whose next ids are `targets` [R], and the gradient of their sum with respect to the logits. */
  crossEntropy(logits: Value, targets: Input, weights: Input): ResultsOf<"crossEntropy", Value> {
    return this.#record("crossEntropy", { logits, targets, weights });
  }

  /** The logprobs [R] of `targets` [R], 0 where one is no id. */
  tokenLogprobs(logits: Value, targets: Input): Value {
    return this.#record("tokenLogprobs", { logits, targets }).logprobs;
  }

  sumSquares(x: Input): Value {
    return this.#record("sumSquares", { x }).out;
  }

  clipNorm(squares: Value, settings: Input): ResultsOf<"clipNorm", Value> {
    return this.#record("clipNorm", { squares, settings });
  }

  adamW(operands: OperandsOf<"adamW", Input>): ResultsOf<"adamW", Value> {
    return this.#record("adamW", operands);
  }

  nesterov(operands: OperandsOf<"nesterov", Input>, beta: number): ResultsOf<"nesterov", Value> {
    return this.#record("nesterov", operands, { beta });
  }

  divideByNorm(x: Input, epsilon: number): Value {
    return this.#record("divideByNorm", { x }, { epsilon }).out;
  }

  combine(alpha: number, a: Input, beta: number, b: Input): Value {
    return this.#record("combine", { a, b }, { alpha, beta }).out;
  }

  transpose(x: Input): Value {
    return this.#record("transpose", { x }).out;
  }

  norMuon(operands: OperandsOf<"norMuon", Input>): ResultsOf<"norMuon", Value> {
    return this.#record("norMuon", operands);
  }

  movingAverage(operands: OperandsOf<"movingAverage", Input>): ResultsOf<"movingAverage", Value> {
    return this.#record("movingAverage", operands);
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
    attributes: Readonly<Record<string, number>> = {},
    given: Readonly<Record<string, number>> = {},
  ): ResultsOf<N, Value> {
    return this.record(op, inputs, attributes, given) as ResultsOf<N, Value>;
  }

  /** Notes an op by its name, as passes do; `given` are the letters that only its results have. */
  record(
    op: OpName,
    inputs: Readonly<Record<string, Input | undefined>>,
    attributes: Readonly<Record<string, number>> = {},
    given: Readonly<Record<string, number>> = {},
  ): Readonly<Record<string, Value>> {
    const signature = { ...signatureOf(op), op: inRegion(this.#region, op) };
    const values = signature.operands.map(({ name, role }) => {
      const input = role === "result" ? undefined : inputs[name];
      return input && this.#valueOf(input);
    });
    const { numbers, leading } = checkOperands(signature, values, given);
    const operands: Record<string, Value> = {};
    const results: Record<string, Made> = {};
    for (const [i, operand] of signature.operands.entries()) {
      const { name, role, dims, dtypes } = operand;
      const value = values[i];
      if (value !== undefined) operands[name] = value;
      if (role !== "result") continue;
      const shape = dims.map((dim) => product(dim, numbers));
      results[name] = {
        ...{ name: `${op}.${name}`, dtype: dtypes[0]!, shape },
        leading: leading[rowsLetter(signature, operand)],
      };
    }
    return this.#note(op, operands, results, attributes, this.#region);
  }

  /** Notes an op of another recording, with `operands` in place of its own. */
  copy(original: RecordedOp, operands: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> {
    const { op, results, attributes, region } = original;
    for (const [name, { dtype, shape, leading }] of Object.entries(original.operands)) {
      const copy = operands[name];
      if (copy?.dtype !== dtype || copy.shape.join() !== shape.join() || copy.leading !== leading) {
        throw this.#wrong(
          op,
          `operand ${name}: expected ${formatShape(dtype, shape)} as in the recording that is copied`,
        );
      }
    }
    const { updates = [] } = opRow(op);
    const made = Object.entries(results).filter(([name]) => !updates.includes(name));
    return this.#note(op, operands, Object.fromEntries(made), attributes, region);
  }

  /** Whether an op may still read `value`: false for state of which there is a newer version. */
  isCurrent({ id, tensor }: Value): boolean {
    return tensor === undefined || this.#updatesOf(tensor).every((update) => update.id <= id);
  }

  #note(
    op: OpName,
    operands: Readonly<Record<string, Value>>,
    results: Readonly<Record<string, Made>>,
    attributes: Readonly<Record<string, number>>,
    region: string,
  ): Readonly<Record<string, Value>> {
    for (const [name, value] of Object.entries(operands)) {
      if (!this.isCurrent(value))
        throw this.#wrong(op, `operand ${name}: ${value.name} was updated: pass its new version`);
    }
    const made: Record<string, Value> = {};
    for (const [name, result] of Object.entries(results)) {
      made[name] = this.#value(result, undefined);
    }
    for (const name of opRow(op).updates ?? []) {
      const state = operands[name];
      if (state === undefined) continue;
      if (state.tensor === undefined) throw this.#wrong(op, `operand ${name}: ${state.name} must be state`);
      made[name] = this.#update(state, state.tensor);
    }
    this.#ops.push({ op, operands, results: made, attributes, region });
    return made;
  }

  #wrong(op: OpName, problem: string): QuipuError {
    return new QuipuError("ERR_INTERNAL", `${inRegion(this.#region, op)}: ${problem}`);
  }

  #valueOf(input: Input, leading?: RowCount): Value {
    if ("id" in input) return input;
    if (this.#updatesOf(input).length > 0) {
      throw new QuipuError(
        "ERR_INTERNAL",
        `${input.name} was updated in this recording: pass its new version, no tensor`,
      );
    }
    let value = this.#states.get(input);
    if (value === undefined) {
      const { name, dtype, shape } = input;
      value = this.#value({ name, dtype, shape, leading }, input);
      this.#states.set(input, value);
    }
    return value;
  }

  /** The newest versions of state that shares bytes with `tensor`. */
  #updatesOf(tensor: Tensor): readonly Value[] {
    return (this.#updates.get(tensor.buffer) ?? []).filter((update) => overlap(update.tensor!, tensor));
  }

  #update(state: Value, tensor: Tensor): Value {
    const version = this.#value(state, tensor);
    const others = (this.#updates.get(tensor.buffer) ?? []).filter((update) => update.tensor !== tensor);
    this.#updates.set(tensor.buffer, [...others, version]);
    return version;
  }

  #value({ name, dtype, shape, leading }: Made, tensor: Tensor | undefined): Value {
    return { id: this.#values++, name, dtype, shape, leading, tensor };
  }
}

function inRegion(region: string, name: string): string {
  return region === "" ? name : `${region}.${name}`;
}

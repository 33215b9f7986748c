// The vector-Jacobian products that differentiate records: of every op, from the gradient of its result to those of its operands.
// d before a name is the gradient of a loss with respect to it.
import type { QuipuError } from "../../errors.js";
import type { OpName } from "../ops.js";
import type { Recorder } from "../recorder.js";
import type { RecordedOp, Value } from "../recording.js";

/** An op on the way back. Its operands and results are those of the recording that is differentiated. */
export interface Reverse {
  readonly op: RecordedOp;
  /** Where the gradients are recorded. */
  readonly r: Recorder;
  /** The gradient of the op's result. */
  readonly dOut: Value;
  /** What stands for a value of the forward half in the new recording. */
  read(value: Value): Value;
  /** Whether a value's gradient is wanted, and it is no parameter. */
  wants(value: Value): boolean;
  give(value: Value, gradient: Value): void;
  /** Where `value` is a parameter: records what adds its gradient to the state that it is given, and returns the new version. */
  addTo(value: Value, record: (sum: Value) => Value): void;
  producer(value: Value): RecordedOp | undefined;
  refuse(why: string): QuipuError;
}

type Vjp = (reverse: Reverse) => void;

const operandsOf = ({ operands }: RecordedOp) => operands as Readonly<Record<string, Value>>;

export const VJPS: Partial<Readonly<Record<OpName, Vjp>>> = {
  /** out = a · bᵀ: dA = dOut · b, dB = dOutᵀ · a. */
  matmul({ op, r, dOut, read, wants, give, addTo }) {
    const { a, b } = operandsOf(op);
    if (wants(a!)) give(a!, r.record("matmulPlain", { a: dOut, b: read(b!) }).out!);
    addTo(b!, (sum) => r.record("matmulOverRows", { a: dOut, b: read(a!), sum }).sum!);
  },

  /** out = a + b: both have the gradient of out. */
  add({ op, dOut, wants, give }) {
    for (const operand of Object.values(op.operands)) if (wants(operand)) give(operand, dOut);
  },

  /** out = x s w with s = (mean x² + ε)^−½, ∂s/∂x = −s³ x / D: dX = s dOut w − x s³ mean(dOut w x), dW = Σ dOut x s over the rows. */
  rmsNorm({ op, r, dOut, read, wants, give, addTo }) {
    const { x, weight } = operandsOf(op);
    const operands = { x: read(x!), weight: read(weight!), dOut };
    const { dX, dWeight } = r.record("rmsNormBackward", operands, op.attributes);
    if (wants(x!)) give(x!, dX!);
    addTo(weight!, (sum) => r.record("accumulate", { value: dWeight!, sum }).sum!);
  },

  /** A rotation's inverse is its transpose; what stretches stays. */
  rope({ op, r, dOut, read, wants, give }) {
    const { x, angles } = operandsOf(op);
    if (wants(x!)) give(x!, r.record("ropeBackward", { dOut, angles: read(angles!) }).dX!);
  },

  /** out = g σ(g) u, σ' = σ (1 − σ): dU = dOut g σ, dG = dOut u σ (1 + g (1 − σ)). */
  swiglu({ op, r, dOut, read, wants, give }) {
    const { gate, up } = operandsOf(op);
    const { dGate, dUp } = r.record("swigluBackward", { gate: read(gate!), up: read(up!), dOut });
    if (wants(gate!)) give(gate!, dGate!);
    if (wants(up!)) give(up!, dUp!);
  },

  /** out[t] = table[ids[t]]: dTable[n] = Σ dOut[t] over the t with ids[t] = n. */
  gatherRows({ op, r, dOut, read, wants, give, addTo }) {
    const { table, ids } = operandsOf(op);
    const rows = () => r.record("scatterAddRows", { rows: dOut, ids: read(ids!) }, {}, { N: table!.shape[0]! }).out!;
    if (wants(table!)) give(table!, rows());
    addTo(table!, (sum) => r.record("accumulate", { value: rows(), sum }).sum!);
  },

  /**
   * P = softmax(scale q kᵀ) by rows, out = P v: dV = Pᵀ dOut, dP = dOut vᵀ, dS = P (dP − dOut · out), as a row of P adds up to 1,
   * dQ = scale dS k, dK = scale dSᵀ q. k and v are the rows of the appendKv that wrote what it reads.
   */
  attention({ op, r, dOut, read, wants, give, producer, refuse }) {
    const { q, keys, slots, positions } = operandsOf(op);
    const written = producer(keys!);
    if (written?.op !== "appendKv") throw refuse("it reads keys that no appendKv of the recording has written");
    const { k, v, ...places } = operandsOf(written);
    if (producer(places.keys!) !== undefined) throw refuse("it reads keys of two appendKv, expected those of one");
    if (places.slots!.id !== slots!.id || places.positions!.id !== positions!.id)
      throw refuse("its rows are not those of the appendKv that wrote what it reads");
    const operands = { q: read(q!), k: read(k!), v: read(v!), out: read(op.results.out!), dOut, slots: read(slots!) };
    const attributes = { scale: op.attributes.scale!, headSize: keys!.shape[2]! };
    const { dQ, dK, dV } = r.record("attentionBackward", operands, attributes);
    if (wants(q!)) give(q!, dQ!);
    if (wants(k!)) give(k!, dK!);
    if (wants(v!)) give(v!, dV!);
  },
};

// differentiate: a recording that ends in losses becomes one that also adds the gradients of their sum to state, by ordinary ops.
//
// The tape is the list. An op is handed the gradient of its result as soon as all that read it have been handed theirs, the latest such
// op first, and gives its operands theirs (vjps.ts). So what a part of the loss alone depends on, as a chunk of logits, is gone before
// the next part is there. Gradients that meet are added; those of parameters go to their state at once.
//
// State is not differentiated: what `attention` reads was written by an `appendKv` of the same recording, whose rows of keys and
// values have the gradients. A recording whose attention reads keys from before it is refused.
import type { Tensor } from "../../device/tensor.js";
import { QuipuError } from "../../errors.js";
import { Recorder } from "../recorder.js";
import type { Pass, RecordedOp, Recording, Value } from "../recording.js";
import { type Reverse, VJPS } from "./vjps.js";

export interface DifferentiateOptions {
  /**
   * Regions ("layers.3") whose values are not kept for the backward half: what it reads of them is computed again, out of what the region
   * reads from outside of it. Default: none.
   */
  readonly recompute?: (region: string) => boolean;
}

/**
 * The pass that adds the gradient of the sum of `losses`, results of `crossEntropy`, to the state that `gradients` has for each
 * parameter: of its shape, that of a vector [D] as [1, D].
 *
 * @throws {QuipuError} ERR_INTERNAL, when it is applied, naming an op that has no VJP, or one that reads what has no gradient.
 */
export function differentiate(
  losses: readonly Value[],
  gradients: ReadonlyMap<Tensor, Tensor>,
  options: DifferentiateOptions = {},
): Pass {
  return (recording) => new Differentiation(recording, losses, gradients, options).run();
}

class Differentiation {
  readonly #from: Recording;
  readonly #r: Recorder;
  readonly #losses: ReadonlySet<number>;
  readonly #recompute: (region: string) => boolean;
  readonly #places: ReadonlyMap<RecordedOp, number>;
  /** Values of the new recording, by the ids of those that they stand for: as the forward half makes them, and as made again. */
  readonly #anew = new Map<number, Value>();
  readonly #again = new Map<number, Value>();
  /** The newest version of a parameter's gradient, by the id of the parameter. */
  readonly #parameters = new Map<number, Value>();
  /** Values that a loss depends on and that depend on a parameter. */
  readonly #active = new Set<number>();
  /** Of them, the gradients so far, and how many readers have still to give theirs. */
  readonly #gradients = new Map<number, Value>();
  readonly #awaited = new Map<number, number>();
  /** Ops whose result has all of its gradient. */
  readonly #ready: RecordedOp[] = [];

  constructor(
    from: Recording,
    losses: readonly Value[],
    gradients: ReadonlyMap<Tensor, Tensor>,
    { recompute = () => false }: DifferentiateOptions,
  ) {
    this.#from = from;
    this.#r = new Recorder({ capacity: from.capacity });
    this.#losses = new Set(losses.map(({ id }) => id));
    this.#recompute = recompute;
    this.#places = new Map(from.ops.map((op, place) => [op, place]));
    for (const { name, id } of losses) {
      if (from.ops.some(({ op, results }) => op === "crossEntropy" && results.losses!.id === id)) continue;
      throw new QuipuError("ERR_INTERNAL", `differentiate: ${name} is no loss, expected one of crossEntropy`);
    }
    this.#takeState(gradients);
    this.#findActive();
  }

  run(): Recording {
    for (const op of this.#from.ops) {
      const results = this.#r.copy(
        op,
        mapValues(op.operands, ({ id }) => this.#anew.get(id)!),
      );
      for (const [name, { id }] of Object.entries(op.results)) this.#anew.set(id, results[name]!);
      if (op.op === "crossEntropy" && this.#losses.has(op.results.losses!.id)) this.#goBackFrom(op);
    }
    for (const value of this.#from.outputs)
      this.#r.output(this.#anew.get(value.id) ?? this.#r.input(value.tensor!, value.leading));
    return this.#r.finish();
  }

  /** State as the run finds it comes first: a version is older than every other that is made later. */
  #takeState(gradients: ReadonlyMap<Tensor, Tensor>): void {
    for (const { operands } of this.#from.ops) {
      for (const value of Object.values(operands)) {
        const { id, tensor, leading } = value;
        if (tensor === undefined || this.#from.producer(value) !== undefined || this.#anew.has(id)) continue;
        this.#anew.set(id, this.#r.input(tensor, leading));
        const gradient = gradients.get(tensor);
        if (gradient === undefined) continue;
        this.#parameters.set(id, this.#r.input(gradient));
        this.#active.add(id);
      }
    }
  }

  /** What depends on a parameter, then what of it a loss depends on, and by how many readers. */
  #findActive(): void {
    for (const op of this.#from.ops) {
      if (!this.#sources(op).some(({ id }) => this.#active.has(id))) continue;
      for (const { id } of Object.values(op.results)) this.#active.add(id);
    }
    const wanted = new Set(this.#losses);
    for (const op of this.#from.ops.toReversed()) {
      if (!Object.values(op.results).some(({ id }) => wanted.has(id) && this.#active.has(id))) continue;
      for (const { id } of this.#sources(op)) {
        wanted.add(id);
        this.#awaited.set(id, (this.#awaited.get(id) ?? 0) + 1);
      }
    }
    for (const id of this.#active) if (!wanted.has(id)) this.#active.delete(id);
  }

  /** What an op has gradients for: its operands, but of attention the rows that were written for it. */
  #sources({ op, operands }: RecordedOp): Value[] {
    if (op === "appendKv") return [];
    if (op === "crossEntropy") return [operands.logits!];
    if (op !== "attention") return Object.values(operands);
    const written = this.#from.producer(operands.keys!);
    return [operands.q!, ...(written?.op === "appendKv" ? [written.operands.k!, written.operands.v!] : [])];
  }

  /** Gives a loss's logits their gradient, and goes back as far as all is there. */
  #goBackFrom({ operands, results, region }: RecordedOp): void {
    const { logits } = operands as { logits: Value };
    if (!this.#active.has(logits.id)) return;
    this.#r.region(region, () => this.#add(logits, this.#anew.get(results.dLogits!.id)!));
    this.#given(logits);
    for (let op = this.#ready.pop(); op !== undefined; op = this.#ready.pop()) this.#goBack(op);
  }

  #goBack(op: RecordedOp): void {
    const vjp = VJPS[op.op];
    if (vjp === undefined) throw this.#refused(op, "it has no VJP");
    const { id } = op.results.out!;
    const dOut = this.#gradients.get(id)!;
    this.#gradients.delete(id);
    const given = new Set<number>();
    const reverse: Reverse = {
      ...{ op, r: this.#r, dOut },
      read: (value) => this.#read(value, op.region),
      wants: (value) => this.#active.has(value.id) && !this.#parameters.has(value.id),
      give: (value, gradient) => {
        given.add(value.id);
        this.#add(value, gradient);
      },
      addTo: (value, record) => {
        const sum = this.#parameters.get(value.id);
        if (sum === undefined) return;
        given.add(value.id);
        this.#parameters.set(value.id, record(sum));
      },
      producer: (value) => this.#from.producer(value),
      refuse: (why) => this.#refused(op, why),
    };
    this.#r.region(op.region, () => vjp(reverse));
    for (const source of this.#sources(op)) {
      if (this.#active.has(source.id) && !given.has(source.id))
        throw this.#refused(op, `it has no gradient for ${source.name}`);
      this.#given(source);
    }
  }

  #add(value: Value, gradient: Value): void {
    const known = this.#gradients.get(value.id);
    this.#gradients.set(value.id, known === undefined ? gradient : this.#r.add(known, gradient));
  }

  /** One reader less that a value awaits its gradient from. */
  #given(value: Value): void {
    const awaited = this.#awaited.get(value.id)! - 1;
    this.#awaited.set(value.id, awaited);
    const producer = this.#from.producer(value);
    if (awaited > 0 || producer === undefined || !this.#active.has(value.id)) return;
    this.#ready.push(producer);
    this.#ready.sort((a, b) => this.#places.get(a)! - this.#places.get(b)!);
  }

  /** What the backward half of `region` reads: as the forward half has made it, or made again. */
  #read(value: Value, region: string): Value {
    const producer = this.#from.producer(value);
    const isKept = value.tensor !== undefined || producer?.region !== region || !this.#recompute(region);
    if (isKept) return this.#anew.get(value.id)!;
    const known = this.#again.get(value.id);
    if (known !== undefined) return known;
    const operands = mapValues(producer.operands, (operand) => this.#read(operand, region));
    const results = this.#r.copy(producer, operands);
    for (const [name, { id }] of Object.entries(producer.results)) this.#again.set(id, results[name]!);
    return this.#again.get(value.id)!;
  }

  #refused({ region, op }: RecordedOp, why: string): QuipuError {
    return new QuipuError("ERR_INTERNAL", `differentiate: ${region === "" ? op : `${region}.${op}`}: ${why}`);
  }
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

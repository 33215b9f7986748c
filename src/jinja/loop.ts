// The `loop` of a for block.
import { nested, spend } from "./budget.js";
import { typeError } from "./errors.js";
import { iterate, lengthOf } from "./iteration.js";
import { equals } from "./operators.js";
import { type Kwargs, PyCallable, PyFunction, PyTuple, Undefined, type Value } from "./values.js";

export class Loop extends PyCallable {
  readonly typeName = "LoopContext";
  readonly #iterable: Value;
  readonly #recurse: ((iterable: Value, depth: number) => Value) | undefined;
  readonly #depth0: number;
  #iterator: Iterator<Value>;
  #index0 = -1;
  #length: number | undefined;
  /** The next item, where it was looked at before its turn. */
  #ahead: IteratorResult<Value> | undefined;
  #before: Value | undefined;
  #current: Value | undefined;
  #lastChanged: Value | undefined;

  constructor(iterable: Value, recurse?: (iterable: Value, depth: number) => Value, depth0 = 0) {
    super();
    this.#iterable = iterable;
    this.#iterator = iterate(iterable);
    this.#recurse = recurse;
    this.#depth0 = depth0;
  }

  next(): IteratorResult<Value> {
    const next = this.#ahead ?? this.#iterator.next();
    this.#ahead = undefined;
    if (!next.done) {
      this.#index0++;
      this.#before = this.#current;
      this.#current = next.value;
    }
    return next;
  }

  #peek(): IteratorResult<Value> {
    this.#ahead ??= this.#iterator.next();
    return this.#ahead;
  }

  get #size(): number {
    if (this.#length === undefined) {
      const length = lengthOf(this.#iterable);
      if (length === undefined) {
        const rest: Value[] = [];
        for (let next = this.#iterator.next(); !next.done; next = this.#iterator.next()) rest.push(next.value);
        this.#iterator = rest.values();
        this.#length = rest.length + this.#index0 + 1 + (this.#ahead && !this.#ahead.done ? 1 : 0);
      } else {
        this.#length = length;
      }
    }
    return this.#length;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "index":
        return this.#index0 + 1;
      case "index0":
        return this.#index0;
      case "length":
        return this.#size;
      case "revindex":
        return this.#size - this.#index0;
      case "revindex0":
        return this.#size - this.#index0 - 1;
      case "first":
        return this.#index0 === 0;
      case "last":
        return this.#peek().done === true;
      case "depth":
        return this.#depth0 + 1;
      case "depth0":
        return this.#depth0;
      case "previtem":
        return this.#index0 === 0 ? new Undefined("there is no previous item") : this.#before;
      case "nextitem": {
        const next = this.#peek();
        return next.done ? new Undefined("there is no next item") : next.value;
      }
      case "cycle":
        return this.#method("cycle", (args) => {
          if (args.length === 0) throw typeError("no items for cycling given");
          return args[this.#index0 % args.length]!;
        });
      case "changed":
        return this.#method("changed", (args) => {
          spend(args.length);
          const value = new PyTuple(args);
          if (this.#lastChanged !== undefined && equals(this.#lastChanged, value)) return false;
          this.#lastChanged = value;
          return true;
        });
    }
    return undefined;
  }

  #method(name: string, run: (args: readonly Value[]) => Value): Value {
    return new PyFunction(name, "method", (args, kwargs) => {
      if (kwargs.size > 0) throw typeError(`LoopContext.${name}() got an unexpected keyword argument`);
      return run(args);
    });
  }

  call(args: readonly Value[], kwargs: Kwargs): Value {
    if (args.length + kwargs.size !== 1) throw typeError("loop() takes one argument, what to walk over");
    const recurse = this.#recurse;
    if (recurse === undefined) throw typeError("The loop must have the 'recursive' marker to be called recursively.");
    const iterable = args.length > 0 ? args[0] : kwargs.get("iterable");
    if (iterable === undefined) throw typeError("loop() takes one argument, what to walk over");
    return nested(() => recurse(iterable, this.#depth0 + 1));
  }

  override print(): string {
    return `<LoopContext ${this.#index0 + 1}/${this.#size}>`;
  }
}

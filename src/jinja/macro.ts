// Macros, and the bodies of call blocks, which are macros without a name.
import { nested, spend } from "./budget.js";
import { typeError } from "./errors.js";
import { stringRepr } from "./printing.js";
import { type Kwargs, PyCallable, PyDict, PyTuple, Undefined, type Value } from "./values.js";

export interface MacroShape {
  readonly name: string | undefined;
  readonly params: readonly string[];
  /** Which of the special names its body reads. */
  readonly caller: boolean;
  readonly kwargs: boolean;
  readonly varargs: boolean;
}

export class Macro extends PyCallable {
  readonly typeName = "Macro";
  readonly #shape: MacroShape;
  readonly #body: (args: readonly (Value | undefined)[]) => string;

  /** `body` takes the parameters, then caller, kwargs and varargs where the shape has them. */
  constructor(shape: MacroShape, body: (args: readonly (Value | undefined)[]) => string) {
    super();
    this.#shape = shape;
    this.#body = body;
  }

  call(args: readonly Value[], given: Kwargs): Value {
    const { params, name } = this.#shape;
    spend(2 + args.length + given.size * 2);
    const kwargs = new Map(given);
    const bound: (Value | undefined)[] = args.slice(0, params.length);
    let hasCaller = bound.length === params.length && params.includes("caller");
    for (const param of params.slice(bound.length)) {
      bound.push(kwargs.get(param));
      kwargs.delete(param);
      if (param === "caller") hasCaller = true;
    }
    if (this.#shape.caller && !hasCaller) {
      bound.push(kwargs.get("caller") ?? new Undefined("No caller defined"));
      kwargs.delete("caller");
    }
    if (this.#shape.kwargs) {
      bound.push(toDict(kwargs));
    } else if (kwargs.size > 0) {
      const shown = name === undefined ? "None" : stringRepr(name);
      if (kwargs.has("caller"))
        throw typeError(`macro ${shown} was invoked with two values for the special caller argument`);
      throw typeError(`macro ${shown} takes no keyword argument ${stringRepr([...kwargs.keys()][0]!)}`);
    }
    if (this.#shape.varargs) bound.push(new PyTuple(args.slice(params.length)));
    else if (args.length > params.length) {
      throw typeError(
        `macro ${name === undefined ? "None" : stringRepr(name)} takes not more than ${params.length} argument(s)`,
      );
    }
    return nested(() => this.#body(bound));
  }

  override attribute(name: string): Value | undefined {
    const { params, caller, kwargs, varargs } = this.#shape;
    switch (name) {
      case "name":
        return this.#shape.name ?? null;
      case "arguments":
        return new PyTuple(params);
      case "caller":
        return caller;
      case "catch_kwargs":
        return kwargs;
      case "catch_varargs":
        return varargs;
      case "explicit_caller":
        return params.includes("caller");
    }
    return undefined;
  }

  override print(): string {
    const { name } = this.#shape;
    return `<Macro ${name === undefined ? "anonymous" : stringRepr(name)}>`;
  }
}

function toDict(entries: Iterable<readonly [string, Value]>): PyDict {
  const dict = new PyDict();
  for (const [key, value] of entries) dict.set(key, value);
  return dict;
}

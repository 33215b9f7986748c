// The names that every template knows.
import { asInt, asText, signature } from "./arguments.js";
import { checkAttributeName } from "./compile-target.js";
import { fromKeys } from "./container-methods.js";
import { JinjaError, typeError, unsupported, valueError } from "./errors.js";
import { iterate, toArray } from "./iteration.js";
import { str } from "./printing.js";
import { strftime } from "./strftime.js";
import {
  type Kwargs,
  Namespace,
  PyCallable,
  PyDict,
  PyFunction,
  PyInstance,
  PyRange,
  PyTuple,
  refuseUndefined,
  textOf,
  type Value,
} from "./values.js";

const NOTHING = signature("");
const MESSAGE = signature("message");
const FORMAT = signature("format");
const SEPARATOR = signature("sep?");

/** The sandbox's bound. */
const MAX_RANGE = 100_000;

/** The globals; `now` is the clock that strftime_now reads. */
export function globalsOf(now: () => Date): Map<string, Value> {
  return new Map<string, Value>([
    ["range", new PyFunction("range", "function", range)],
    ["dict", new DictFactory()],
    ["namespace", new PyFunction("namespace", "type", namespace)],
    ["cycler", new PyFunction("cycler", "type", (args, kwargs) => new Cycler(unnamed("Cycler", args, kwargs)))],
    ["joiner", new PyFunction("joiner", "type", (args, kwargs) => new Joiner(SEPARATOR("Joiner", args, kwargs)[0]))],
    [
      "lipsum",
      new PyFunction("lipsum", "function", () => {
        throw unsupported("the function lipsum, whose text is random");
      }),
    ],
    [
      "raise_exception",
      new PyFunction("raise_exception", "function", (args, kwargs) => {
        throw new JinjaError("TemplateError", str(MESSAGE("raise_exception", args, kwargs)[0]!));
      }),
    ],
    [
      "strftime_now",
      new PyFunction("strftime_now", "function", (args, kwargs) =>
        strftime(now(), asText(FORMAT("strftime_now", args, kwargs)[0], "strftime() argument 1")),
      ),
    ],
  ]);
}

function unnamed(name: string, args: readonly Value[], kwargs: Kwargs): readonly Value[] {
  if (kwargs.size > 0) throw typeError(`${name}() takes no keyword arguments`);
  return args;
}

function range(args: readonly Value[], kwargs: Kwargs): Value {
  unnamed("range", args, kwargs);
  if (args.length < 1 || args.length > 3) throw typeError(`range expected 1 to 3 arguments, got ${args.length}`);
  const numbers = args.map((arg) => Number(asInt(arg)));
  if (!numbers.every(Number.isSafeInteger)) throw unsupported("a range beyond 2^53");
  const [start, stop, step] = numbers.length === 1 ? [0, numbers[0]!, 1] : [numbers[0]!, numbers[1]!, numbers[2] ?? 1];
  if (step === 0) throw valueError("range() arg 3 must not be zero");
  const made = new PyRange(start, stop, step);
  if (made.length > MAX_RANGE) {
    throw new JinjaError(
      "OverflowError",
      `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MAX_RANGE}).`,
    );
  }
  return made;
}

/** dict(mapping or pairs, **more) */
function makeDict(args: readonly Value[], kwargs: Kwargs): PyDict {
  if (args.length > 1) throw typeError(`dict expected at most 1 argument, got ${args.length}`);
  const dict = new PyDict();
  const [source] = args;
  if (source instanceof PyDict) {
    for (const [key, value] of source.entries()) dict.set(key, value);
  } else if (source !== undefined) {
    refuseUndefined(source);
    let index = 0;
    for (const pair of iterate(source)) {
      const items = toArray(pair);
      if (items.length !== 2) {
        throw valueError(`dictionary update sequence element #${index} has length ${items.length}; 2 is required`);
      }
      dict.set(items[0]!, items[1]!);
      index++;
    }
  }
  for (const [key, value] of kwargs) dict.set(key, value);
  return dict;
}

class DictFactory extends PyCallable {
  readonly typeName = "TemplateDict";

  call(args: readonly Value[], kwargs: Kwargs): Value {
    return makeDict(args, kwargs);
  }

  override attribute(name: string): Value | undefined {
    return name === "fromkeys" ? new PyFunction("fromkeys", "method", fromKeys) : undefined;
  }
}

function namespace(args: readonly Value[], kwargs: Kwargs): Namespace {
  const attributes = makeDict(args, kwargs);
  for (const key of attributes.keys()) {
    const name = textOf(key);
    if (name !== undefined) checkAttributeName(name);
  }
  return new Namespace(attributes);
}

class Cycler extends PyInstance {
  readonly typeName = "Cycler";
  readonly #items: readonly Value[];
  #at = 0;

  constructor(items: readonly Value[]) {
    super();
    if (items.length === 0) throw new JinjaError("RuntimeError", "at least one item has to be provided");
    this.#items = items;
  }

  attribute(name: string): Value | undefined {
    switch (name) {
      case "current":
        return this.#items[this.#at];
      case "items":
        return new PyTuple(this.#items);
      case "pos":
        return this.#at;
      case "next":
        return new PyFunction("next", "method", (args, kwargs) => {
          NOTHING("next", args, kwargs);
          const item = this.#items[this.#at]!;
          this.#at = (this.#at + 1) % this.#items.length;
          return item;
        });
      case "reset":
        return new PyFunction("reset", "method", (args, kwargs) => {
          NOTHING("reset", args, kwargs);
          this.#at = 0;
          return null;
        });
    }
    return undefined;
  }
}

class Joiner extends PyCallable {
  readonly typeName = "Joiner";
  readonly #separator: Value;
  #used = false;

  constructor(separator: Value | undefined) {
    super();
    this.#separator = separator === undefined ? ", " : separator;
  }

  call(args: readonly Value[], kwargs: Kwargs): Value {
    NOTHING("Joiner", args, kwargs);
    if (this.#used) return this.#separator;
    this.#used = true;
    return "";
  }

  override attribute(name: string): Value | undefined {
    return name === "sep" ? this.#separator : name === "used" ? this.#used : undefined;
  }
}

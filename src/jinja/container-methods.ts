// Methods and attributes of list, tuple, dict, its views, range, int and float that the immutable sandbox lets a template use.
import { asBound, signature } from "./arguments.js";
import { spend, spendCharacters } from "./budget.js";
import { typeError, unsupported, valueError } from "./errors.js";
import { toArray } from "./iteration.js";
import { contains, same } from "./operators.js";
import { repr } from "./printing.js";
import { span } from "./text.js";
import {
  DictView,
  float,
  isInt,
  isList,
  type Kwargs,
  PyDict,
  PyFloat,
  PyFunction,
  PyIterator,
  PyRange,
  PyTuple,
  typeName,
  type Value,
} from "./values.js";

const NOTHING = signature("");
const ONE = signature("value /");
const GET = signature("key default? /");
const INDEX = signature("value start? stop? /");
const FROM_KEYS = signature("iterable value? /");

type Method = (args: readonly Value[], kwargs: Kwargs) => Value;

export function containerAttribute(object: Value, name: string): Value | undefined {
  if (object instanceof PyDict) return dictMethod(object, name);
  if (isList(object)) {
    return name === "copy"
      ? constant(name, () => [...toArray(object)])
      : method(name, sequenceMethod(object, object, name));
  }
  if (object instanceof PyTuple) return method(name, sequenceMethod(object, object.items, name));
  if (object instanceof PyRange) {
    if (name === "start" || name === "stop" || name === "step") return object[name];
    const items = name === "count" || name === "index" ? toArray(object) : [];
    return method(name, sequenceMethod(object, items, name));
  }
  if (object instanceof DictView) return viewAttribute(object, name);
  if (object instanceof PyFloat) return floatAttribute(object, name);
  if (object instanceof PyIterator) return iteratorAttribute(object, name);
  if (typeof object === "boolean") return intAttribute(Number(object), name);
  return isInt(object) ? intAttribute(object, name) : undefined;
}

function method(name: string, implementation: Method | undefined): Value | undefined {
  return implementation && new PyFunction(name, "builtin_function_or_method", implementation);
}

/** A method without parameters. */
function constant(name: string, result: () => Value): Value | undefined {
  return method(name, (args, kwargs) => {
    NOTHING(name, args, kwargs);
    return result();
  });
}

function dictMethod(dict: PyDict, name: string): Value | undefined {
  switch (name) {
    case "get":
      return method(name, (args, kwargs) => {
        const [key, missing] = GET(name, args, kwargs);
        const value = dict.get(key!);
        return value === undefined ? (missing ?? null) : value;
      });
    case "keys":
    case "values":
    case "items":
      return constant(name, () => new DictView(dict, name));
    case "copy":
      return constant(name, () => copyDict(dict));
    case "fromkeys":
      return method(name, fromKeys);
  }
  return undefined;
}

function copyDict(dict: PyDict): PyDict {
  const copy = new PyDict();
  for (const [key, value] of dict.entries()) copy.set(key, value);
  return copy;
}

export const fromKeys: Method = (args, kwargs) => {
  const [iterable, value] = FROM_KEYS("fromkeys", args, kwargs);
  const dict = new PyDict();
  for (const key of toArray(iterable!)) dict.set(key, value ?? null);
  return dict;
};

function sequenceMethod(self: Value, items: readonly Value[], name: string): Method | undefined {
  if (name === "count") {
    return (args, kwargs) => {
      const [value] = ONE(name, args, kwargs);
      spend(items.length);
      return items.filter((item) => same(item, value!)).length;
    };
  }
  if (name !== "index") return undefined;
  return (args, kwargs) => {
    const [value, start, stop] = (self instanceof PyRange ? ONE : INDEX)(name, args, kwargs);
    const range = span(items.length, indexBound(start), indexBound(stop));
    for (let i = range.start; i < range.start + range.count; i++) {
      spend(1);
      if (same(items[i]!, value!)) return i;
    }
    throw valueError(`${repr(value!)} is not in ${typeName(self)}`);
  };
}

/** list.index() takes no None for a bound, where str.find() does. */
function indexBound(value: Value | undefined): number | undefined {
  if (value === null) throw typeError("slice indices must be integers or have an __index__ method");
  return asBound(value);
}

function viewAttribute(view: DictView, name: string): Value | undefined {
  if (name === "mapping") throw unsupported("the attribute mapping of a dict view");
  if (name !== "isdisjoint" || view.kind === "values") return undefined;
  return method(name, (args, kwargs) => {
    const [other] = ONE(name, args, kwargs);
    return !toArray(other!).some((item) => {
      spend(2);
      return contains(view, item);
    });
  });
}

function intAttribute(value: number | bigint, name: string): Value | undefined {
  const magnitude = () => {
    const bits = (BigInt(value) < 0n ? -BigInt(value) : BigInt(value)).toString(2);
    spendCharacters(bits.length);
    return bits;
  };
  switch (name) {
    case "real":
    case "numerator":
      return value;
    case "imag":
      return 0;
    case "denominator":
      return 1;
    case "bit_length":
      return constant(name, () => (BigInt(value) === 0n ? 0 : magnitude().length));
    case "bit_count":
      return constant(name, () => magnitude().replaceAll("0", "").length);
    case "conjugate":
      return constant(name, () => value);
    case "as_integer_ratio":
      return constant(name, () => new PyTuple([value, 1]));
    case "to_bytes":
    case "from_bytes":
      throw unsupported(`bytes (int.${name})`);
  }
  return undefined;
}

function floatAttribute(object: PyFloat, name: string): Value | undefined {
  switch (name) {
    case "real":
      return object;
    case "imag":
      return float(0);
    case "is_integer":
      return constant(name, () => Number.isInteger(object.value));
    case "conjugate":
      return constant(name, () => object);
    case "hex":
    case "fromhex":
    case "as_integer_ratio":
      throw unsupported(`float.${name}`);
  }
  return undefined;
}

function iteratorAttribute(object: PyIterator, name: string): Value | undefined {
  if (object.typeName === "generator" && ["send", "throw", "close"].includes(name))
    throw unsupported(`the method ${name} of a generator`);
  return undefined;
}

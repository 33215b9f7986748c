// Tests.
import { bound, type Test } from "./arguments.js";
import { unsupported } from "./errors.js";
import { isIterable } from "./iteration.js";
import { Loop } from "./loop.js";
import { binary, compare, contains, equals } from "./operators.js";
import { str } from "./printing.js";
import { islower, isupper } from "./unicode.js";
import {
  isInt,
  isList,
  Markup,
  PyCallable,
  PyDict,
  PyFloat,
  PyRange,
  PyTuple,
  refuseUnhashable,
  textOf,
  Undefined,
  type Value,
} from "./values.js";

function one(name: string, holds: (value: Value) => boolean): Test {
  return bound(name, "value", ([value]) => holds(value!));
}

function two(name: string, spec: string, holds: (a: Value, b: Value) => boolean): Test {
  return bound(name, spec, ([a, b]) => holds(a!, b!));
}

function modulo(value: Value, by: Value, rest: number): boolean {
  return equals(binary("%", value, by), rest);
}

const equal = two("eq", "a b /", equals);
const notEqual = two("ne", "a b /", (a, b) => !equals(a, b));
const greater = two("gt", "a b /", (a, b) => compare(">", a, b));
const greaterOrEqual = two("ge", "a b /", (a, b) => compare(">=", a, b));
const less = two("lt", "a b /", (a, b) => compare("<", a, b));
const lessOrEqual = two("le", "a b /", (a, b) => compare("<=", a, b));

export const plainTests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["odd", one("odd", (value) => modulo(value, 2, 1))],
  ["even", one("even", (value) => modulo(value, 2, 0))],
  ["divisibleby", two("divisibleby", "value num", (a, b) => modulo(a, b, 0))],
  ["defined", one("defined", (value) => !(value instanceof Undefined))],
  ["undefined", one("undefined", (value) => value instanceof Undefined)],
  ["none", one("none", (value) => value === null)],
  ["boolean", one("boolean", (value) => typeof value === "boolean")],
  ["false", one("false", (value) => value === false)],
  ["true", one("true", (value) => value === true)],
  ["integer", one("integer", isInt)],
  ["float", one("float", (value) => value instanceof PyFloat)],
  ["lower", one("lower", (value) => islower(str(value)))],
  ["upper", one("upper", (value) => isupper(str(value)))],
  ["string", one("string", (value) => textOf(value) !== undefined)],
  ["mapping", one("mapping", (value) => value instanceof PyDict)],
  ["number", one("number", (value) => isInt(value) || typeof value === "boolean" || value instanceof PyFloat)],
  ["sequence", one("sequence", isSequence)],
  ["iterable", one("iterable", (value) => isIterable(value) || value instanceof Loop)],
  ["callable", one("callable", (value) => value instanceof PyCallable || value instanceof Undefined)],
  ["sameas", two("sameas", "value other", isSame)],
  ["escaped", one("escaped", (value) => value instanceof Markup)],
  ["in", two("in", "value seq", (item, container) => contains(container, item))],
  ["==", equal],
  ["eq", equal],
  ["equalto", equal],
  ["!=", notEqual],
  ["ne", notEqual],
  [">", greater],
  ["gt", greater],
  ["greaterthan", greater],
  ["ge", greaterOrEqual],
  [">=", greaterOrEqual],
  ["<", less],
  ["lt", less],
  ["lessthan", less],
  ["<=", lessOrEqual],
  ["le", lessOrEqual],
]);

/** Those that ask what has a name, of all filters and tests. */
export function namingTests({ filters, tests }: Readonly<Record<"filters" | "tests", ReadonlyMap<string, unknown>>>) {
  return {
    filter: one("filter", (value) => known(filters, value)),
    test: one("test", (value) => known(tests, value)),
  };
}

function known(table: ReadonlyMap<string, unknown>, name: Value): boolean {
  const text = textOf(name);
  refuseUnhashable(name);
  return text !== undefined && table.has(text);
}

/** What has a length and items. */
function isSequence(value: Value): boolean {
  if (textOf(value) !== undefined || isList(value)) return true;
  return value instanceof PyTuple || value instanceof PyDict || value instanceof PyRange || value instanceof Undefined;
}

/** `is`. Whether equal strings, floats, tuples and larger ints are one object is CPython's own affair: there we cannot tell. */
function isSame(a: Value, b: Value): boolean {
  if (typeof a !== typeof b) return false;
  const alike =
    typeof a === "string" || isInt(a) || a instanceof PyFloat || a instanceof Markup || a instanceof PyTuple;
  if (!alike || !equals(a, b)) return a === b;
  if (typeof a === "number" && a >= -5 && a <= 256) return true;
  throw unsupported("whether two equal values are the same object");
}

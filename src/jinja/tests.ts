// The tests by name.
import { signature } from "./arguments.js";
import { filters } from "./filters.js";
import { isIterable } from "./iteration.js";
import { binary, compare, contains, equals } from "./operators.js";
import { str } from "./printing.js";
import { islower, isupper } from "./unicode.js";
import {
  isInt,
  isList,
  type Kwargs,
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

export type Test = (value: Value, args: readonly Value[], kwargs: Kwargs) => boolean;

const ONE = signature("value");
const TWO = signature("value other");
const TWO_UNNAMED = signature("a b /");
const IN = signature("value seq");
const DIVISIBLE = signature("value num");

function one(name: string, holds: (value: Value) => boolean): Test {
  return (value, args, kwargs) => holds(ONE(name, [value, ...args], kwargs)[0]!);
}

function two(name: string, bind: typeof TWO, holds: (a: Value, b: Value) => boolean): Test {
  return (value, args, kwargs) => {
    const [a, b] = bind(name, [value, ...args], kwargs);
    return holds(a!, b!);
  };
}

function modulo(value: Value, by: Value, rest: number): boolean {
  return equals(binary("%", value, by), rest);
}

const equal = two("eq", TWO_UNNAMED, equals);
const notEqual = two("ne", TWO_UNNAMED, (a, b) => !equals(a, b));
const greater = two("gt", TWO_UNNAMED, (a, b) => compare(">", a, b));
const greaterOrEqual = two("ge", TWO_UNNAMED, (a, b) => compare(">=", a, b));
const less = two("lt", TWO_UNNAMED, (a, b) => compare("<", a, b));
const lessOrEqual = two("le", TWO_UNNAMED, (a, b) => compare("<=", a, b));

export const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["odd", one("odd", (value) => modulo(value, 2, 1))],
  ["even", one("even", (value) => modulo(value, 2, 0))],
  ["divisibleby", two("divisibleby", DIVISIBLE, (a, b) => modulo(a, b, 0))],
  ["defined", one("defined", (value) => !(value instanceof Undefined))],
  ["undefined", one("undefined", (value) => value instanceof Undefined)],
  ["filter", one("filter", (value) => known(filters, value))],
  ["test", one("test", (value) => known(tests, value))],
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
  ["iterable", one("iterable", isIterable)],
  ["callable", one("callable", (value) => value instanceof PyCallable || value instanceof Undefined)],
  ["sameas", two("sameas", TWO, (a, b) => a === b)],
  ["escaped", one("escaped", (value) => value instanceof Markup)],
  ["in", two("in", IN, (item, container) => contains(container, item))],
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

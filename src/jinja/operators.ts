// Python's operators.
import { checkedIndex } from "./arguments.js";
import { spend, spendItems, spendSearch, spendText } from "./budget.js";
import { typeError } from "./errors.js";
import { toArray } from "./iteration.js";
import { toMarkup } from "./markup.js";
import type { BinaryOperator, Comparison } from "./nodes.js";
import { arithmetic, compareNumbers, negate, numeric } from "./numbers.js";
import { formatPercent } from "./percent-format.js";
import { str } from "./printing.js";
import { compareText } from "./text.js";
import { plain } from "./twins.js";
import {
  DictView,
  isInt,
  isList,
  Markup,
  Namespace,
  PyDict,
  PyFloat,
  PyIterator,
  PyRange,
  PyTuple,
  refuseUndefined,
  textOf,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

/** @throws {JinjaError} TypeError, ZeroDivisionError, OverflowError, UndefinedError */
export function binary(op: BinaryOperator, a: Value, b: Value): Value {
  const x = numeric(a);
  const y = x === undefined ? undefined : numeric(b);
  if (x !== undefined && y !== undefined) return arithmetic(op, x, y);
  if (op === "%" && textOf(a) !== undefined) return formatPercent(a, b);
  refuseUndefined(a, b);
  const result = op === "+" ? add(a, b) : op === "*" ? (repeat(a, b) ?? repeat(b, a)) : undefined;
  if (result !== undefined) return result;
  const sign = op === "**" ? "** or pow()" : op;
  throw typeError(`unsupported operand type(s) for ${sign}: '${typeName(a)}' and '${typeName(b)}'`);
}

function add(a: Value, b: Value): Value | undefined {
  if (typeof a === "string" && typeof b === "string") {
    spendText(a.length + b.length);
    return a + b;
  }
  const [left, right] = [textOf(a), textOf(b)];
  if (left !== undefined && right !== undefined) {
    spendText(left.length + right.length);
    return new Markup(toMarkup(a).text + toMarkup(b).text);
  }
  if (left !== undefined) throw typeError(`can only concatenate str (not "${typeName(b)}") to str`);
  if (isList(a)) {
    if (!isList(b)) throw typeError(`can only concatenate list (not "${typeName(b)}") to list`);
    spendItems(a.length + b.length);
    return [...a, ...b];
  }
  if (a instanceof PyTuple) {
    if (!(b instanceof PyTuple)) throw typeError(`can only concatenate tuple (not "${typeName(b)}") to tuple`);
    spendItems(a.items.length + b.items.length);
    return new PyTuple([...a.items, ...b.items]);
  }
  return undefined;
}

function repeat(sequence: Value, times: Value): Value | undefined {
  const text = textOf(sequence);
  const items = isList(sequence) ? sequence : sequence instanceof PyTuple ? sequence.items : undefined;
  if (text === undefined && items === undefined) return undefined;
  if (!isInt(times) && typeof times !== "boolean") {
    // The other order may fit: it is tried next, so only a pair that cannot is an error.
    return undefined;
  }
  const count = Math.max(0, checkedIndex(typeof times === "boolean" ? Number(times) : times));
  if (text !== undefined) {
    spendText(text.length * count);
    const repeated = text === "" ? "" : text.repeat(count);
    return sequence instanceof Markup ? new Markup(repeated) : repeated;
  }
  if (items!.length === 0 || count === 0) return isList(sequence) ? [] : new PyTuple([]);
  spendItems(items!.length * count);
  spend(count);
  const repeated: Value[] = [];
  for (let i = 0; i < count; i++) for (const item of items!) repeated.push(item);
  return isList(sequence) ? repeated : new PyTuple(repeated);
}

export function unary(op: "-" | "+", value: Value): Value {
  const x = numeric(value);
  if (x !== undefined) return op === "-" ? negate(x) : x;
  refuseUndefined(value);
  throw typeError(`bad operand type for unary ${op}: '${typeName(value)}'`);
}

/** `a ~ b ~ c`: the texts of all. */
export function concat(values: readonly Value[]): string {
  let text = "";
  for (const value of values) text += str(value);
  spendText(text.length);
  return text;
}

export function equals(a: Value, b: Value): boolean {
  if (a === b && typeof a !== "string") return true;
  spend(4);
  if (a === null || b === null) return false;
  const x = numeric(a);
  if (x !== undefined) {
    const y = numeric(b);
    return y !== undefined && compareNumbers(x, y) === 0;
  }
  const text = textOf(a);
  if (text !== undefined) {
    const other = textOf(b);
    if (other === undefined || other.length !== text.length) return false;
    spendText(text.length);
    return plain(text) === plain(other);
  }
  if (isList(a)) return isList(b) && allEqual(a, b);
  if (a instanceof PyTuple) return b instanceof PyTuple && allEqual(a.items, b.items);
  if (a instanceof PyDict) return b instanceof PyDict && dictsEqual(a, b);
  if (a instanceof Undefined) return b instanceof Undefined;
  if (a instanceof PyRange) return b instanceof PyRange && rangesEqual(a, b);
  if (a instanceof DictView && b instanceof DictView && a.kind !== "values" && b.kind !== "values") {
    return a.dict.size === b.dict.size && toArray(a).every((item) => containsSpent(b, item));
  }
  return false;
}

/** Equality of items: one value is equal to itself, even NaN. */
export function same(a: Value, b: Value): boolean {
  return (a === b && typeof a !== "string") || equals(a, b);
}

/** As an item among many: a step of its own, also where it is the same. */
function spentSame(a: Value, b: Value): boolean {
  spend(1);
  return same(a, b);
}

function allEqual(a: readonly Value[], b: readonly Value[]): boolean {
  return a.length === b.length && a.every((item, i) => spentSame(item, b[i]!));
}

function dictsEqual(a: PyDict, b: PyDict): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a.entries()) {
    spend(8);
    const other = b.get(key);
    if (other === undefined || !same(value, other)) return false;
  }
  return true;
}

function rangesEqual(a: PyRange, b: PyRange): boolean {
  if (a.length !== b.length) return false;
  return a.length === 0 || (a.start === b.start && (a.length === 1 || a.step === b.step));
}

/** Less than zero, zero, more; NaN where no order holds. @throws {JinjaError} TypeError */
export function order(a: Value, b: Value, op: string): number {
  spend(2);
  const [x, y] = [numeric(a), numeric(b)];
  if (x !== undefined && y !== undefined) return compareNumbers(x, y);
  const [left, right] = [textOf(a), textOf(b)];
  if (left !== undefined && right !== undefined) return compareText(left, right);
  refuseUndefined(a, b);
  if (isList(a) && isList(b)) return orderItems(a, b, op);
  if (a instanceof PyTuple && b instanceof PyTuple) return orderItems(a.items, b.items, op);
  throw typeError(`'${op}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

function orderItems(a: readonly Value[], b: readonly Value[], op: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    spend(1);
    if (!same(a[i]!, b[i]!)) return order(a[i]!, b[i]!, op);
  }
  return a.length - b.length;
}

export function compare(op: Comparison, a: Value, b: Value): boolean {
  switch (op) {
    case "==":
      return equals(a, b);
    case "!=":
      return !equals(a, b);
    case "in":
      return contains(b, a);
    case "not in":
      return !contains(b, a);
  }
  if (a instanceof DictView && b instanceof DictView && a.kind !== "values" && b.kind !== "values") {
    return isSubset(op.startsWith("<") ? a : b, op.startsWith("<") ? b : a, op.endsWith("="));
  }
  const result = order(a, b, op);
  return op === "<" ? result < 0 : op === "<=" ? result <= 0 : op === ">" ? result > 0 : result >= 0;
}

/** As one of many: a step of its own. */
function containsSpent(container: Value, item: Value): boolean {
  spend(4);
  return contains(container, item);
}

function isSubset(a: DictView, b: DictView, orEqual: boolean): boolean {
  const within = toArray(a).every((item) => containsSpent(b, item));
  return within && (orEqual ? a.dict.size <= b.dict.size : a.dict.size < b.dict.size);
}

/** `item in container` */
export function contains(container: Value, item: Value): boolean {
  const text = textOf(container);
  if (text !== undefined) {
    const part = textOf(item);
    if (part === undefined) throw typeError(`'in <string>' requires string as left operand, not ${typeName(item)}`);
    spendSearch(text.length, part.length);
    return plain(text).includes(plain(part));
  }
  if (isList(container)) return container.some((other) => spentSame(other, item));
  if (container instanceof PyTuple) return container.items.some((other) => spentSame(other, item));
  if (container instanceof PyDict) return container.has(item);
  if (container instanceof DictView) {
    if (container.kind === "keys") return container.dict.has(item);
    if (container.kind === "values") return toArray(container).some((other) => spentSame(other, item));
    if (!(item instanceof PyTuple) || item.items.length !== 2) return false;
    const value = container.dict.get(item.items[0]!);
    return value !== undefined && same(value, item.items[1]!);
  }
  if (container instanceof PyRange) return rangeContains(container, item);
  if (container instanceof Undefined) return false;
  if (container instanceof PyIterator) {
    for (;;) {
      const next = container.iterator.next();
      if (next.done) return false;
      if (same(next.value, item)) return true;
    }
  }
  if (container instanceof Namespace) throw typeError("argument of type 'Namespace' is not iterable");
  return toArray(container).some((other) => same(other, item));
}

function rangeContains(range: PyRange, item: Value): boolean {
  const x = numeric(item);
  if (x === undefined) return false;
  const value = x instanceof PyFloat ? x.value : Number(x);
  const index = (value - range.start) / range.step;
  return Number.isInteger(value) && Number.isInteger(index) && index >= 0 && index < range.length;
}

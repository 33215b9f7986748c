// Walking over values, their length and reading items of them.
import { checkItems, spend } from "./budget.js";
import { type JinjaError, typeError, valueError } from "./errors.js";
import { characters, sliceArray, sliceText, span, textLength } from "./text.js";
import {
  DictView,
  isInt,
  isList,
  Markup,
  PyDict,
  PyIterator,
  PyRange,
  PyTuple,
  refuseUndefined,
  textOf,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

/** iter(value): lists are seen as they are, iterators are used up. @throws {JinjaError} TypeError */
export function* iterate(value: Value): Generator<Value> {
  if (value instanceof PyIterator) {
    for (let next = value.iterator.next(); !next.done; next = value.iterator.next()) {
      spend(1);
      yield next.value;
    }
    return;
  }
  const items = sized(value);
  if (items === undefined) throw notIterable(value);
  for (const item of items) {
    spend(1);
    yield item;
  }
}

/** list(value) */
export function toArray(value: Value): readonly Value[] {
  const items = sized(value) ?? walked(value);
  if (items === value || value instanceof PyTuple) spend(1 + items.length);
  return items;
}

function walked(value: Value): Value[] {
  const items: Value[] = [];
  for (const item of iterate(value)) {
    items.push(item);
    checkItems(items.length);
  }
  return items;
}

/** The items of what has a length; undefined for iterators and what cannot be walked over. */
function sized(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value;
  const text = textOf(value);
  if (text !== undefined) return characters(text);
  if (value instanceof PyTuple) return value.items;
  if (value instanceof PyDict || value instanceof DictView || value instanceof PyRange) spend(lengthOf(value)! * 2);
  if (value instanceof PyDict) return value.keys();
  if (value instanceof DictView) return value.toArray();
  if (value instanceof PyRange) return Array.from({ length: value.length }, (_, i) => value.at(i));
  return value instanceof Undefined ? [] : undefined;
}

export function isIterable(value: Value): boolean {
  if (value instanceof PyIterator || isList(value) || textOf(value) !== undefined) return true;
  return [PyTuple, PyDict, DictView, PyRange, Undefined].some((type) => value instanceof type);
}

function notIterable(value: Value): JinjaError {
  return typeError(`'${typeName(value)}' object is not iterable`);
}

/** len(value), undefined for what has none. */
export function lengthOf(value: Value): number | undefined {
  if (isList(value)) return value.length;
  const text = textOf(value);
  if (text !== undefined) return textLength(text);
  if (value instanceof PyTuple) return value.items.length;
  if (value instanceof PyDict) return value.size;
  if (value instanceof DictView) return value.dict.size;
  if (value instanceof PyRange) return value.length;
  return value instanceof Undefined ? 0 : undefined;
}

/** @throws {JinjaError} TypeError */
export function len(value: Value): number {
  const length = lengthOf(value);
  if (length === undefined) throw typeError(`object of type '${typeName(value)}' has no len()`);
  return length;
}

/** The items of what has an order and can be read from its end (reversed()); undefined for the rest. */
export function reversible(value: Value): readonly Value[] | undefined {
  if (value instanceof Undefined || (value instanceof DictView && value.dict.size === 0)) return [];
  return sized(value);
}

/** An index or a bound of a slice: int, bool; undefined for other types. */
export function indexOf(value: Value): number | undefined {
  if (typeof value === "boolean") return Number(value);
  return isInt(value) ? Number(value) : undefined;
}

export function isSliceable(value: Value): boolean {
  return textOf(value) !== undefined || isList(value) || value instanceof PyTuple || value instanceof PyRange;
}

/** value[start:stop:step] @throws {JinjaError} TypeError, ValueError, UndefinedError */
export function slice(value: Value, bounds: readonly (Value | undefined)[]): Value {
  refuseUndefined(value);
  const text = textOf(value);
  const items = isList(value) ? value : value instanceof PyTuple ? value.items : undefined;
  if (!isSliceable(value)) {
    if (value instanceof PyDict) throw typeError("unhashable type: 'slice'");
    throw typeError(`'${typeName(value)}' object is not subscriptable`);
  }
  const [start, stop, step] = bounds.map(sliceBound);
  if (step === 0) throw valueError("slice step cannot be zero");
  if (text !== undefined) {
    const part = sliceText(text, start, stop, step);
    return value instanceof Markup ? new Markup(part) : part;
  }
  if (items !== undefined) {
    const part = sliceArray(items, span(items.length, start, stop, step));
    return isList(value) ? part : new PyTuple(part);
  }
  const range = value as PyRange;
  const part = span(range.length, start, stop, step);
  const first = range.at(part.start);
  return new PyRange(first, rangeStop(range, part.step, stop), range.step * part.step);
}

/** Python keeps the bound that was given, so that the range prints with it. */
function rangeStop(range: PyRange, step: number, stop: number | undefined): number {
  const [low, high] = step > 0 ? [0, range.length] : [-1, range.length - 1];
  const bound =
    stop === undefined ? (step > 0 ? high : low) : Math.min(Math.max(stop < 0 ? stop + range.length : stop, low), high);
  return range.at(bound);
}

function sliceBound(value: Value | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  const index = indexOf(value);
  if (index === undefined) {
    throw typeError("slice indices must be integers or None or have an __index__ method");
  }
  return index;
}

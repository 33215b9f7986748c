// Filters on sequences and mappings.
import { asIndex, asText, bound, type Filter } from "./arguments.js";
import { attributeGetter } from "./attribute-getter.js";
import { getAttributeOnly } from "./attributes.js";
import { spend } from "./budget.js";
import { JinjaError, typeError } from "./errors.js";
import { isIterable, iterate, len, reversible, toArray } from "./iteration.js";
import { binary } from "./operators.js";
import { characters } from "./text.js";
import {
  DictView,
  isList,
  Markup,
  PyDict,
  PyIterator,
  PyRange,
  PyTuple,
  textOf,
  truthy,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

const defaultFilter = bound("default", "value default_value? boolean?", ([given, otherwise, boolean]) => {
  const missing = given instanceof Undefined || (boolean !== undefined && truthy(boolean) && !truthy(given!));
  if (!missing) return given!;
  return otherwise === undefined ? "" : otherwise;
});

export const sequenceFilters: Readonly<Record<string, Filter>> = {
  length: bound("length", "value", ([value]) => len(value!)),
  count: bound("count", "value", ([value]) => len(value!)),
  first: bound("first", "value", ([value]) => {
    const next = iterate(value!).next();
    return next.done ? new Undefined("No first item, sequence was empty.") : next.value;
  }),
  last: bound("last", "value", ([value]) => {
    const items = reversible(value!);
    if (items === undefined) throw typeError(`'${typeName(value!)}' object is not reversible`);
    const last = items.at(-1);
    if (last === undefined) return new Undefined("No last item, sequence was empty.");
    // reversed() reads items, which a safe string gives as safe ones; walking forward does not.
    return value instanceof Markup ? new Markup(last as string) : last;
  }),
  list: bound("list", "value", ([value]) => [...toArray(value!)]),
  reverse: bound("reverse", "value", ([value]) => reverse(value!)),
  items: bound("items", "value", ([value]) => {
    if (value instanceof Undefined) return new PyIterator([].values());
    if (value instanceof PyDict) return new PyIterator(toArray(new DictView(value, "items")).values());
    return new PyIterator({ next: refuseItems });
  }),
  default: defaultFilter,
  d: defaultFilter,
  attr: bound("attr", "obj name", ([object, name]) => {
    return getAttributeOnly(object!, asText(name, "attribute name"));
  }),
  batch: bound("batch", "value linecount fill_with?", ([items, count, fill]) => {
    return new PyIterator(batch(items!, count!, fill));
  }),
  slice: bound("slice", "value slices fill_with?", ([items, slices, fill]) => {
    return new PyIterator(slicesOf(items!, slices!, fill));
  }),
  sum: bound("sum", "iterable attribute? start?", ([items, attribute, start]) => {
    const get = attribute === undefined || attribute === null ? undefined : attributeGetter(attribute);
    let total: Value = start === undefined ? 0 : start;
    if (textOf(total) !== undefined) throw typeError("sum() can't sum strings [use ''.join(seq) instead]");
    for (const item of iterate(items!)) total = binary("+", total, get === undefined ? item : get(item));
    return total;
  }),
};

/** items() is a generator: what is no mapping is an error only once it is walked over. */
function refuseItems(): never {
  throw typeError("Can only get item pairs from a mapping.");
}

function reverse(value: Value): Value {
  const text = textOf(value);
  if (text !== undefined) {
    const reversed = characters(text).reverse().join("");
    return value instanceof Markup ? new Markup(reversed) : reversed;
  }
  const items = reversible(value);
  if (items !== undefined) return new PyIterator(reversedItems(items), reverseName(value));
  if (!isIterable(value)) throw new JinjaError("FilterArgumentError", "argument must be iterable");
  return [...toArray(value)].reverse();
}

function reverseName(value: Value): string {
  if (isList(value)) return "list_reverseiterator";
  if (value instanceof PyRange) return "range_iterator";
  return value instanceof PyTuple || value instanceof Undefined ? "reversed" : "dict_reversekeyiterator";
}

function* reversedItems(items: readonly Value[]): Generator<Value> {
  for (let i = items.length - 1; i >= 0; i--) yield items[i]!;
}

function* batch(value: Value, count: Value, fill: Value | undefined): Generator<Value> {
  const size = typeof count === "number" || typeof count === "boolean" ? Number(count) : undefined;
  let row: Value[] = [];
  for (const item of iterate(value)) {
    if (row.length === size) {
      spend(4);
      yield row;
      row = [];
    }
    row.push(item);
  }
  if (row.length === 0) return;
  if (fill !== undefined && fill !== null) {
    if (size === undefined) throw typeError(`'<' not supported between instances of 'int' and '${typeName(count)}'`);
    spend(Math.max(0, size - row.length));
    while (row.length < size) row.push(fill);
  }
  yield row;
}

function* slicesOf(value: Value, slices: Value, fill: Value | undefined): Generator<Value> {
  const items = toArray(value);
  const count = asIndex(slices, 0);
  if (count === 0) throw new JinjaError("ZeroDivisionError", "integer division or modulo by zero");
  const size = Math.floor(items.length / count);
  const longer = items.length - size * count;
  let offset = 0;
  for (let i = 0; i < count; i++) {
    spend(1);
    const start = offset + i * size;
    if (i < longer) offset++;
    spend(4 + size);
    const row = items.slice(start, offset + (i + 1) * size);
    if (fill !== undefined && fill !== null && i >= longer) row.push(fill);
    yield row;
  }
}

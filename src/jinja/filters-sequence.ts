// Filters on sequences and mappings, and those that look up values.
import { asIndex, asText, signature } from "./arguments.js";
import { attributeGetter, type Getter } from "./attribute-getter.js";
import { getAttributeOnly } from "./attributes.js";
import { spend } from "./budget.js";
import { JinjaError, typeError } from "./errors.js";
import { type Filter, filters } from "./filters.js";
import { isIterable, iterate, len, reversible, toArray } from "./iteration.js";
import { binary } from "./operators.js";
import { stringRepr } from "./printing.js";
import { type Test, tests } from "./tests.js";
import { characters } from "./text.js";
import {
  DictView,
  isList,
  type Kwargs,
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

const ONE = signature("value");
const DEFAULT = signature("value default_value? boolean?");
const ATTR = signature("obj name");
const BATCH = signature("value linecount fill_with?");
const SLICE = signature("value slices fill_with?");
const SUM = signature("iterable attribute? start?");

function one(name: string, run: (value: Value) => Value): Filter {
  return (value, args, kwargs) => run(ONE(name, [value, ...args], kwargs)[0]!);
}

const defaultFilter: Filter = (value, args, kwargs) => {
  const [given, otherwise, boolean] = DEFAULT("default", [value, ...args], kwargs);
  const missing = given instanceof Undefined || (boolean !== undefined && truthy(boolean) && !truthy(given!));
  if (!missing) return given!;
  return otherwise === undefined ? "" : otherwise;
};

export const sequenceFilters: Readonly<Record<string, Filter>> = {
  length: one("length", len),
  count: one("count", len),
  first: one("first", (value) => {
    const next = iterate(value).next();
    return next.done ? new Undefined("No first item, sequence was empty.") : next.value;
  }),
  last: one("last", (value) => {
    const items = reversible(value);
    if (items === undefined) throw typeError(`'${typeName(value)}' object is not reversible`);
    const last = items.at(-1);
    if (last === undefined) return new Undefined("No last item, sequence was empty.");
    // reversed() reads items, which a safe string gives as safe ones; walking forward does not.
    return value instanceof Markup ? new Markup(last as string) : last;
  }),
  list: one("list", (value) => [...toArray(value)]),
  reverse: one("reverse", reverse),
  items: one("items", (value) => {
    if (value instanceof Undefined) return new PyIterator([].values());
    if (value instanceof PyDict) return new PyIterator(new DictView(value, "items").toArray().values());
    return new PyIterator({ next: refuseItems });
  }),
  default: defaultFilter,
  d: defaultFilter,
  attr: (value, args, kwargs) => {
    const [object, name] = ATTR("attr", [value, ...args], kwargs);
    return getAttributeOnly(object!, asText(name, "attribute name"));
  },
  batch: (value, args, kwargs) => {
    const [items, count, fill] = BATCH("batch", [value, ...args], kwargs);
    return new PyIterator(batch(items!, count!, fill));
  },
  slice: (value, args, kwargs) => {
    const [items, slices, fill] = SLICE("slice", [value, ...args], kwargs);
    return new PyIterator(slicesOf(items!, slices!, fill));
  },
  sum: (value, args, kwargs) => {
    const [items, attribute, start] = SUM("sum", [value, ...args], kwargs);
    const get = attribute === undefined || attribute === null ? undefined : attributeGetter(attribute);
    let total: Value = start === undefined ? 0 : start;
    if (textOf(total) !== undefined) throw typeError("sum() can't sum strings [use ''.join(seq) instead]");
    for (const item of iterate(items!)) total = binary("+", total, get === undefined ? item : get(item));
    return total;
  },
  map: (value, args, kwargs) => new PyIterator(mapped(value, args, kwargs)),
  select: (value, args, kwargs) => new PyIterator(selected(value, args, kwargs, { keep: true, byAttribute: false })),
  reject: (value, args, kwargs) => new PyIterator(selected(value, args, kwargs, { keep: false, byAttribute: false })),
  selectattr: (value, args, kwargs) => new PyIterator(selected(value, args, kwargs, { keep: true, byAttribute: true })),
  rejectattr: (value, args, kwargs) =>
    new PyIterator(selected(value, args, kwargs, { keep: false, byAttribute: true })),
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
    const row = items.slice(start, offset + (i + 1) * size);
    if (fill !== undefined && fill !== null && i >= longer) row.push(fill);
    yield row;
  }
}

function filterError(message: string): JinjaError {
  return new JinjaError("FilterArgumentError", message);
}

function* mapped(value: Value, args: readonly Value[], kwargs: Kwargs): Generator<Value> {
  if (!truthy(value)) return;
  const change = mapping(args, kwargs);
  for (const item of iterate(value)) yield change(item);
}

function mapping(args: readonly Value[], kwargs: Kwargs): Getter {
  const attribute = kwargs.get("attribute");
  if (args.length === 0 && attribute !== undefined) {
    const unexpected = [...kwargs.keys()].find((key) => key !== "attribute" && key !== "default");
    if (unexpected !== undefined) throw filterError(`Unexpected keyword argument ${stringRepr(unexpected)}`);
    return attributeGetter(attribute, kwargs.get("default"));
  }
  const [name, ...rest] = args;
  if (name === undefined) throw filterError("map requires a filter argument");
  return (item) => {
    spend(1);
    return byName(filters, name, "filter")(item, rest, kwargs);
  };
}

function byName<T>(table: ReadonlyMap<string, T>, name: Value, kind: string): T {
  const text = textOf(name);
  const found = text === undefined ? undefined : table.get(text);
  if (found === undefined)
    throw new JinjaError("TemplateRuntimeError", `No ${kind} named ${stringRepr(text ?? typeName(name))}.`);
  return found;
}

interface Selection {
  readonly keep: boolean;
  readonly byAttribute: boolean;
}

function* selected(
  value: Value,
  args: readonly Value[],
  kwargs: Kwargs,
  { keep, byAttribute }: Selection,
): Generator<Value> {
  if (!truthy(value)) return;
  if (byAttribute && args.length === 0) throw filterError("Missing parameter for attribute name");
  const get = byAttribute ? attributeGetter(args[0]) : undefined;
  const [name, ...rest] = byAttribute ? args.slice(1) : args;
  const test: Test | undefined = name === undefined ? undefined : lazyTest(name);
  for (const item of iterate(value)) {
    const looked = get === undefined ? item : get(item);
    spend(1);
    if ((test === undefined ? truthy(looked) : truthy(test(looked, rest, kwargs))) === keep) yield item;
  }
}

/** An unknown test is an error only once there is an item to test. */
function lazyTest(name: Value): Test {
  return (value, args, kwargs) => byName(tests, name, "test")(value, args, kwargs);
}

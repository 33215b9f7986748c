// Filters that order, compare or group items.
import { asIndex, type Bound, bound, type Filter } from "./arguments.js";
import { attributeGetter, attributesGetter, type Getter } from "./attribute-getter.js";
import { spend, spendText } from "./budget.js";
import { JinjaError } from "./errors.js";
import { iterate, toArray } from "./iteration.js";
import { order, same } from "./operators.js";
import { lower } from "./unicode.js";
import {
  Group,
  Markup,
  PyDict,
  PyIterator,
  PyTuple,
  refuseUndefined,
  textOf,
  truthy,
  Undefined,
  type Value,
} from "./values.js";

const BY = "value case_sensitive? attribute?";

function given(value: Value | undefined): boolean {
  return value !== undefined && truthy(value);
}

/** Strings are compared in lower case unless the filter is told otherwise. */
function ignoreCase(value: Value): Value {
  const text = textOf(value);
  if (text === undefined) return value;
  spendText(text.length * 2);
  return value instanceof Markup ? new Markup(lower(text)) : lower(text);
}

/** sorted(): stable, also in reverse; only "<" is asked, as Python does. */
function sorted<T>(items: readonly T[], compare: (a: T, b: T) => number, reverse: boolean): T[] {
  const by = (a: T, b: T) => {
    spend(2);
    return compare(a, b);
  };
  return reverse ? [...items].reverse().sort(by).reverse() : [...items].sort(by);
}

function byLess(a: Value, b: Value): number {
  const result = order(a, b, "<");
  if (Number.isNaN(result)) throw new JinjaError("Unsupported", "sorting NaN: the order is not defined");
  return result;
}

function byItems(a: readonly Value[], b: readonly Value[]): number {
  for (let i = 0; i < a.length; i++) if (!same(a[i]!, b[i]!)) return byLess(a[i]!, b[i]!);
  return 0;
}

export const sortingFilters: Readonly<Record<string, Filter>> = {
  sort: bound("sort", "value reverse? case_sensitive? attribute?", ([items, reverse, caseSensitive, attribute]) => {
    const get = attributesGetter(attribute, given(caseSensitive) ? undefined : ignoreCase);
    const keyed = toArray(items!).map((item) => ({ item, key: get(item) }));
    return sorted(keyed, (a, b) => byItems(a.key, b.key), asIndex(reverse, 0) !== 0).map(({ item }) => item);
  }),
  dictsort: bound("dictsort", "value case_sensitive? by? reverse?", ([dict, caseSensitive, by, reverse]) => {
    const what = by === undefined ? "key" : textOf(by);
    if (what !== "key" && what !== "value") {
      throw new JinjaError("FilterArgumentError", 'You can only sort by either "key" or "value"');
    }
    refuseUndefined(dict);
    if (!(dict instanceof PyDict)) throw new JinjaError("AttributeError", "dictsort takes a dict");
    const key = (entry: readonly Value[]) => {
      const part = entry[what === "key" ? 0 : 1]!;
      return given(caseSensitive) ? part : ignoreCase(part);
    };
    spend(dict.size * 4);
    const entries = Array.from(dict.entries(), (entry) => ({ entry, key: key(entry) }));
    return sorted(entries, (a, b) => byLess(a.key, b.key), asIndex(reverse, 0) !== 0).map(
      ({ entry }) => new PyTuple(entry),
    );
  }),
  min: bound("min", BY, (given) => extreme("min", given)),
  max: bound("max", BY, (given) => extreme("max", given)),
  unique: bound("unique", "value case_sensitive? attribute?", ([items, caseSensitive, attribute]) => {
    return new PyIterator(
      unique(items!, attributeGetter(attribute, undefined, given(caseSensitive) ? undefined : ignoreCase)),
    );
  }),
  groupby: bound(
    "groupby",
    "value attribute default? case_sensitive?",
    ([items, attribute, missing, caseSensitive]) => {
      const original = attributeGetter(attribute, missing);
      const get = given(caseSensitive) ? original : attributeGetter(attribute, missing, ignoreCase);
      const keyed = toArray(items!).map((item) => ({ item, key: get(item) }));
      const groups: { key: Value; items: Value[] }[] = [];
      for (const { item, key } of sorted(keyed, (a, b) => byLess(a.key, b.key), false)) {
        const last = groups.at(-1);
        if (last !== undefined && same(last.key, key)) last.items.push(item);
        else groups.push({ key, items: [item] });
      }
      return groups.map(
        (group) => new Group([given(caseSensitive) ? group.key : original(group.items[0]!), group.items]),
      );
    },
  ),
};

function extreme(name: "min" | "max", [items, caseSensitive, attribute]: Bound): Value {
  const get = attributeGetter(attribute, undefined, given(caseSensitive) ? undefined : ignoreCase);
  let best: { item: Value; key: Value } | undefined;
  for (const item of iterate(items!)) {
    const key = get(item);
    if (best === undefined) best = { item, key };
    else if (name === "min" ? order(key, best.key, "<") < 0 : order(key, best.key, ">") > 0) best = { item, key };
  }
  return best === undefined ? new Undefined("No aggregated item, sequence was empty.") : best.item;
}

function* unique(items: Value, get: Getter): Generator<Value> {
  const seen = new PyDict();
  for (const item of iterate(items)) {
    const key = get(item);
    if (seen.has(key)) continue;
    seen.set(key, true);
    yield item;
  }
}

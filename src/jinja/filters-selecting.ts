// Filters that apply filters and tests, by their names, to each item.
import type { Filter, Test } from "./arguments.js";
import { attributeGetter, type Getter } from "./attribute-getter.js";
import { spend } from "./budget.js";
import { JinjaError } from "./errors.js";
import { iterate } from "./iteration.js";
import { stringRepr } from "./printing.js";
import { type Kwargs, PyIterator, textOf, truthy, typeName, type Value } from "./values.js";

/** All filters and tests; they are looked up when they run, these among them. */
export interface Named {
  readonly filters: ReadonlyMap<string, Filter>;
  readonly tests: ReadonlyMap<string, Test>;
}

export function selectingFilters(named: Named): Readonly<Record<string, Filter>> {
  const selecting =
    (selection: Selection): Filter =>
    (value, args, kwargs) =>
      new PyIterator(selected(value, args, kwargs, selection, named));
  return {
    map: (value, args, kwargs) => new PyIterator(mapped(value, args, kwargs, named)),
    select: selecting({ keep: true, byAttribute: false }),
    reject: selecting({ keep: false, byAttribute: false }),
    selectattr: selecting({ keep: true, byAttribute: true }),
    rejectattr: selecting({ keep: false, byAttribute: true }),
  };
}

function filterError(message: string): JinjaError {
  return new JinjaError("FilterArgumentError", message);
}

function* mapped(value: Value, args: readonly Value[], kwargs: Kwargs, named: Named): Generator<Value> {
  if (!truthy(value)) return;
  const change = mapping(args, kwargs, named);
  for (const item of iterate(value)) yield change(item);
}

function mapping(args: readonly Value[], kwargs: Kwargs, { filters }: Named): Getter {
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

/** Asked for each item: an unknown name is an error only once there is one. */
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
  { tests }: Named,
): Generator<Value> {
  if (!truthy(value)) return;
  if (byAttribute && args.length === 0) throw filterError("Missing parameter for attribute name");
  const get = byAttribute ? attributeGetter(args[0]) : undefined;
  const [name, ...rest] = byAttribute ? args.slice(1) : args;
  for (const item of iterate(value)) {
    const looked = get === undefined ? item : get(item);
    spend(1);
    const passes = name === undefined ? truthy(looked) : byName(tests, name, "test")(looked, rest, kwargs);
    if (passes === keep) yield item;
  }
}

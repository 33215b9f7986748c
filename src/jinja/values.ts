// The values of templates: Python's, as JavaScript values. None is null, bool boolean, str string, list an array; int is a number where
// that is exact, else a bigint; everything else is a class of its own, so that no property of a JavaScript object is ever looked up.
import { spend, spendText } from "./budget.js";
import { JinjaError, typeError } from "./errors.js";
import { plain } from "./twins.js";

export type Value = null | boolean | number | bigint | string | readonly Value[] | PyObject;

/** Keyword arguments of a call. */
export type Kwargs = ReadonlyMap<string, Value>;

export abstract class PyObject {
  /** As type(value).__name__ gives it. */
  abstract readonly typeName: string;
}

export class PyFloat extends PyObject {
  readonly typeName = "float";
  constructor(readonly value: number) {
    super();
  }
}

/** A string that `safe` or `escape` made: what is added to it is escaped. */
export class Markup extends PyObject {
  readonly typeName = "Markup";
  constructor(readonly text: string) {
    super();
  }
}

export class PyTuple extends PyObject {
  readonly typeName: string = "tuple";
  constructor(readonly items: readonly Value[]) {
    super();
  }
}

/** What groupby yields: a tuple whose two items have names. */
export class Group extends PyTuple {
  override readonly typeName = "_GroupTuple";
}

export class PyRange extends PyObject {
  readonly typeName = "range";
  readonly length: number;
  constructor(
    readonly start: number,
    readonly stop: number,
    readonly step: number,
  ) {
    super();
    this.length = Math.max(0, Math.ceil((stop - start) / step));
  }

  at(index: number): number {
    return this.start + index * this.step;
  }
}

export class PyDict extends PyObject {
  readonly typeName = "dict";
  readonly #entries = new Map<unknown, [Value, Value]>();

  get size(): number {
    return this.#entries.size;
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(dictKey(key))?.[1];
  }

  has(key: Value): boolean {
    return this.#entries.has(dictKey(key));
  }

  set(key: Value, value: Value): void {
    const identity = dictKey(key);
    const entry = this.#entries.get(identity);
    if (entry === undefined) {
      spend(4);
      this.#entries.set(identity, [key, value]);
    } else {
      entry[1] = value;
    }
  }

  /** Pairs in the order in which their keys came. */
  entries(): IterableIterator<[Value, Value]> {
    return this.#entries.values();
  }

  keys(): Value[] {
    return Array.from(this.#entries.values(), ([key]) => key);
  }

  values(): Value[] {
    return Array.from(this.#entries.values(), ([, value]) => value);
  }
}

/** What keys(), values() and items() of a dict give. */
export class DictView extends PyObject {
  constructor(
    readonly dict: PyDict,
    readonly kind: "keys" | "values" | "items",
  ) {
    super();
  }

  get typeName(): string {
    return `dict_${this.kind}`;
  }

  toArray(): Value[] {
    if (this.kind === "keys") return this.dict.keys();
    if (this.kind === "values") return this.dict.values();
    return Array.from(this.dict.entries(), (entry) => new PyTuple(entry));
  }
}

/** A value that is walked over once: generators of filters. */
export class PyIterator extends PyObject {
  constructor(
    readonly iterator: Iterator<Value>,
    readonly typeName: string = "generator",
  ) {
    super();
  }
}

/** Something with attributes that Jinja2 itself makes: loop, namespace, macro, cycler … */
export abstract class PyInstance extends PyObject {
  abstract attribute(name: string): Value | undefined;

  /** Its repr, where that is the same in every run. */
  print(): string | undefined {
    return undefined;
  }
}

export abstract class PyCallable extends PyInstance {
  abstract call(args: readonly Value[], kwargs: Kwargs): Value;

  attribute(_name: string): Value | undefined {
    return undefined;
  }
}

export class PyFunction extends PyCallable {
  constructor(
    readonly name: string,
    readonly typeName: string,
    readonly implementation: (args: readonly Value[], kwargs: Kwargs) => Value,
  ) {
    super();
  }

  call(args: readonly Value[], kwargs: Kwargs): Value {
    return this.implementation(args, kwargs);
  }
}

export class Namespace extends PyInstance {
  readonly typeName = "Namespace";
  constructor(readonly attributes: PyDict) {
    super();
  }

  attribute(name: string): Value | undefined {
    return this.attributes.get(name);
  }
}

/** What is not there. Prints as nothing, is false, empty and equal to its kind; all else raises what `error` says. */
export class Undefined extends PyObject {
  readonly typeName = "Undefined";
  constructor(
    readonly message: string,
    readonly errorKind = "UndefinedError",
  ) {
    super();
  }
}

/** @throws {JinjaError} as all raise that works with what is not there */
export function refuseUndefined(...values: readonly (Value | undefined)[]): void {
  for (const value of values) if (value instanceof Undefined) throw new JinjaError(value.errorKind, value.message);
}

/** Python's words for a value in messages about what it has not. */
export function describeOwner(value: Value): string {
  if (value === null) return "None";
  if (value instanceof Undefined) return "Undefined";
  const builtin = !(value instanceof PyInstance || value instanceof Markup);
  return builtin ? `${typeName(value)} object` : `jinja2 ${typeName(value)} object`;
}

export function typeName(value: Value): string {
  if (value === null) return "NoneType";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "number":
    case "bigint":
      return "int";
    case "string":
      return "str";
  }
  return Array.isArray(value) ? "list" : (value as PyObject).typeName;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** The text of a string, whether or not it is marked safe. */
export function textOf(value: Value): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Markup ? value.text : undefined;
}

export function isInt(value: Value): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** An int as a number where that is exact. */
export function int(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** A float: what Python prints with a point, even where it is whole. */
export function float(value: number): PyFloat {
  return new PyFloat(value);
}

export function truthy(value: Value): boolean {
  if (value === null) return false;
  switch (typeof value) {
    case "boolean":
      return value;
    case "number":
      return value !== 0;
    case "bigint":
      return true;
    case "string":
      return value !== "";
  }
  if (isList(value)) return value.length > 0;
  if (value instanceof PyFloat) return value.value !== 0;
  if (value instanceof Markup) return value.text !== "";
  if (value instanceof PyTuple) return value.items.length > 0;
  if (value instanceof PyDict) return value.size > 0;
  if (value instanceof DictView) return value.dict.size > 0;
  if (value instanceof PyRange) return value.length > 0;
  return !(value instanceof Undefined);
}

/** What a key is told apart by: 1, 1.0 and true are one key; strings, the usual ones, are themselves. */
function dictKey(key: Value): unknown {
  const given = textOf(key);
  if (given !== undefined) {
    spendText(given.length);
    const text = plain(given);
    return text[0] === "\0" ? `\0s${text}` : text;
  }
  if (typeof key === "boolean") return Number(key);
  if (key instanceof PyFloat) {
    const { value } = key;
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? BigInt(value) : value === 0 ? 0 : value;
  }
  if (key instanceof PyTuple) {
    spend(1 + key.items.length * 4);
    const parts = key.items.map((item) => {
      const part = dictKey(item);
      return `${typeof part} ${String(part).length} ${String(part)}`;
    });
    const joined = parts.join(" ");
    spendText(joined.length);
    return `\0t${joined}`;
  }
  if (isList(key) || key instanceof PyDict || (key instanceof DictView && key.kind !== "values"))
    throw typeError(`unhashable type: '${typeName(key)}'`);
  if (key instanceof Undefined) return UNDEFINED_KEY;
  if (key instanceof PyRange)
    return `\0r${key.length} ${key.length > 0 ? key.start : ""} ${key.length > 1 ? key.step : ""}`;
  return key;
}

/** @throws {JinjaError} TypeError for what cannot be a key. */
export function refuseUnhashable(value: Value): void {
  dictKey(value);
}

const UNDEFINED_KEY = Symbol("Undefined");

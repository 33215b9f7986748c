// Values of JavaScript as values of templates.
import { typeError } from "./errors.js";
import { float, int, PyDict, PyObject, type Value } from "./values.js";

const MAX_NESTING = 300;

/**
 * null is None; booleans, strings and bigints are what they are; a whole number is an int, any other a float (give a whole float as
 * `float(1)`); arrays are lists; plain objects and Maps are dicts in the order of their keys, where JavaScript puts keys of plain objects
 * that look like array indices first (a Map keeps its order). A property that is undefined is not there. Values that are a template's
 * already stay as they are.
 *
 * @throws {JinjaError} TypeError for what has no counterpart.
 */
export function fromJavaScript(value: unknown): Value {
  return convert(value, 0);
}

function convert(value: unknown, depth: number): Value {
  if (value === null || typeof value === "boolean" || typeof value === "string" || value instanceof PyObject)
    return value;
  if (typeof value === "bigint") return int(value);
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return value + 0;
    return Number.isInteger(value) ? int(BigInt(value)) : float(value);
  }
  if (depth > MAX_NESTING) throw typeError(`a value nested deeper than ${MAX_NESTING}`);
  if (Array.isArray(value)) {
    return Array.from(value, (item: unknown) => (item === undefined ? null : convert(item, depth + 1)));
  }
  if (value instanceof Map) return convertEntries(value, depth);
  if (typeof value === "object") {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === null || Object.getPrototypeOf(prototype) === null)
      return convertEntries(Object.entries(value), depth);
  }
  throw typeError(
    `a template takes null, booleans, numbers, strings, arrays, Maps and plain objects, not ${describe(value)}`,
  );
}

function convertEntries(entries: Iterable<readonly [unknown, unknown]>, depth: number): PyDict {
  const dict = new PyDict();
  for (const [key, item] of entries) {
    if (item !== undefined) dict.set(convert(key, depth + 1), convert(item, depth + 1));
  }
  return dict;
}

function describe(value: unknown): string {
  if (typeof value === "object" && value !== null) return `a ${value.constructor?.name ?? "object"}`;
  return typeof value === "undefined" ? "undefined" : `a ${typeof value}`;
}

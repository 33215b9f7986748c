// Arguments of what templates call, matched with parameters as Python does.
import { once } from "../once.js";
import { JinjaError, typeError } from "./errors.js";
import { isInt, type Kwargs, textOf, typeName, type Value } from "./values.js";

export const NO_KWARGS: Kwargs = new Map();

export type Bound = readonly (Value | undefined)[];

/** A filter: of a value, with arguments. */
export type Filter = (value: Value, args: readonly Value[], kwargs: Kwargs) => Value;
export type Test = (value: Value, args: readonly Value[], kwargs: Kwargs) => boolean;

/** A filter or a test whose value is the first of its parameters. */
export function bound<T>(
  name: string,
  spec: string,
  run: (bound: Bound) => T,
): (value: Value, args: readonly Value[], kwargs: Kwargs) => T {
  const bind = signature(spec);
  return (value, args, kwargs) => run(bind(name, [value, ...args], kwargs));
}

/**
 * Parameters by name, "?" after an optional one; those before "/" cannot be named. The function gives the arguments in their order,
 * undefined where none was given.
 */
export function signature(spec: string): (callee: string, args: readonly Value[], kwargs: Kwargs) => Bound {
  const parsed = once(() => {
    const words = spec.split(" ").filter((word) => word !== "");
    const params = words.filter((word) => word !== "/");
    const required = params.filter((word) => !word.endsWith("?")).length;
    return { slash: words.indexOf("/"), params: params.map((word) => word.replace("?", "")), required };
  });
  return (callee, args, kwargs) => {
    const { slash, params, required } = parsed();
    if (args.length > params.length) {
      throw typeError(`${callee}() takes at most ${params.length} arguments (${args.length} given)`);
    }
    const bound: (Value | undefined)[] = [...args];
    for (const [name, value] of kwargs) {
      const index = params.indexOf(name);
      if (index === -1 || index < slash) throw typeError(`${callee}() got an unexpected keyword argument '${name}'`);
      if (bound[index] !== undefined) throw typeError(`${callee}() got multiple values for argument '${name}'`);
      bound[index] = value;
    }
    for (let i = 0; i < required; i++) {
      if (bound[i] === undefined) throw typeError(`${callee}() missing required argument: '${params[i]}'`);
    }
    return bound;
  };
}

/** @throws {JinjaError} TypeError */
export function asText(value: Value | undefined, what: string): string {
  const text = value === undefined ? undefined : textOf(value);
  if (text === undefined) throw typeError(`${what} must be str, not ${typeName(value ?? null)}`);
  return text;
}

/** An int argument as a number; `missing` where it was not given. @throws {JinjaError} TypeError, OverflowError */
export function asIndex(value: Value | undefined, missing: number): number {
  if (value === undefined) return missing;
  return checkedIndex(asInt(value));
}

/** What CPython keeps in a machine word must fit one. @throws {JinjaError} OverflowError */
export function checkedIndex(value: number | bigint): number {
  if (typeof value === "bigint" && value !== BigInt.asIntN(64, value)) {
    throw new JinjaError("OverflowError", "cannot fit 'int' into an index-sized integer");
  }
  return Number(value);
}

/** A bound of a part of a sequence, of any size; undefined for None and where none was given. @throws {JinjaError} TypeError */
export function asBound(value: Value | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  return Number(asInt(value));
}

/** @throws {JinjaError} TypeError */
export function asInt(value: Value): number | bigint {
  if (typeof value === "boolean") return Number(value);
  if (isInt(value)) return value;
  throw typeError(`'${typeName(value)}' object cannot be interpreted as an integer`);
}

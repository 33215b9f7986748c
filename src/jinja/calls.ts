// Calling values.
import { JinjaError, typeError } from "./errors.js";
import { type Kwargs, PyCallable, typeName, Undefined, type Value } from "./values.js";

/** @throws {JinjaError} TypeError, UndefinedError */
export function callValue(callee: Value, args: readonly Value[], kwargs: Kwargs): Value {
  if (callee instanceof PyCallable) return callee.call(args, kwargs);
  if (callee instanceof Undefined) throw new JinjaError(callee.errorKind, callee.message);
  throw typeError(`'${typeName(callee)}' object is not callable`);
}

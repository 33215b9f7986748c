// Assignment.
import { JinjaError, typeError, valueError } from "./errors.js";
import type { Frame } from "./frame.js";
import { isIterable, iterate } from "./iteration.js";
import type { Target } from "./nodes.js";
import { stringRepr } from "./printing.js";
import { reader, type Scope } from "./scope.js";
import { Namespace, typeName, type Value } from "./values.js";

export type Assign = (frame: Frame, value: Value) => void;

export function compileTarget(target: Target, scope: Scope): Assign {
  switch (target.type) {
    case "name": {
      const { slot } = scope.symbols.ref(target.name);
      const { name } = target;
      if (!scope.toplevel) {
        return (frame, value) => {
          frame.vars[slot] = value;
        };
      }
      return (frame, value) => {
        frame.vars[slot] = value;
        frame.context.vars.set(name, value);
      };
    }
    case "namespace": {
      const read = reader(scope, scope.symbols.ref(target.name));
      const { attribute } = target;
      return (frame, value) => {
        setAttribute(read(frame), attribute, value);
      };
    }
    case "targets": {
      const parts = target.items.map((item) => compileTarget(item, scope));
      return (frame, value) => {
        const values = unpack(value, parts.length);
        parts.forEach((assign, i) => {
          assign(frame, values[i]!);
        });
      };
    }
  }
}

/** Before the value is computed: what gets an attribute must be a namespace. */
export function bindNamespaces(target: Target, scope: Scope): (frame: Frame) => void {
  if (target.type === "name") return () => {};
  if (target.type === "targets") {
    const checks = target.items.map((item) => bindNamespaces(item, scope));
    return (frame) => {
      for (const check of checks) check(frame);
    };
  }
  const read = reader(scope, scope.symbols.ref(target.name));
  return (frame) => {
    if (!(read(frame) instanceof Namespace)) {
      throw new JinjaError("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
    }
  };
}

/** @throws {JinjaError} SecurityError, as transformers refuses underscores. */
export function checkAttributeName(name: string): void {
  if (!name.startsWith("_")) return;
  throw new JinjaError(
    "SecurityError",
    `Chat templates cannot store underscore-prefixed attributes on a namespace, but got ${stringRepr(name)}. Please rename the attribute.`,
  );
}

function setAttribute(namespace: Value | undefined, name: string, value: Value): void {
  checkAttributeName(name);
  (namespace as Namespace).attributes.set(name, value);
}

/** Exactly `count` items of what is unpacked. @throws {JinjaError} ValueError, TypeError */
export function unpack(value: Value, count: number): readonly Value[] {
  if (!isIterable(value)) throw typeError(`cannot unpack non-iterable ${typeName(value)} object`);
  const items: Value[] = [];
  for (const item of iterate(value)) {
    if (items.length === count) throw valueError(`too many values to unpack (expected ${count})`);
    items.push(item);
  }
  if (items.length < count) throw valueError(`not enough values to unpack (expected ${count}, got ${items.length})`);
  return items;
}

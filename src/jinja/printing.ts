// str() and repr() of values.

import { spend, spendBits, spendText } from "./budget.js";
import { JinjaError, unsupported } from "./errors.js";
import { floatRepr } from "./numbers.js";
import { escapeOf } from "./text.js";
import { unprintable } from "./unicode.js";
import {
  DictView,
  isList,
  Markup,
  Namespace,
  PyDict,
  PyFloat,
  PyInstance,
  PyIterator,
  PyRange,
  PyTuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

/** @throws {JinjaError} Unsupported for what Python prints with an address. */
export function str(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Markup) return value.text;
  if (value instanceof Undefined) return "";
  return repr(value);
}

export function repr(value: Value): string {
  const text = new Printer().repr(value);
  spendText(text.length);
  return text;
}

const MAX_NESTING = 300;

class Printer {
  /** What is being printed: a value inside itself prints as dots. */
  readonly #open = new Set<Value>();

  repr(value: Value): string {
    spend(4);
    if (value === null) return "None";
    switch (typeof value) {
      case "boolean":
        return value ? "True" : "False";
      case "number":
        return String(value);
      case "bigint":
        return intText(value);
      case "string":
        return stringRepr(value);
    }
    if (value instanceof PyFloat) return floatRepr(value.value);
    if (value instanceof Markup) return `Markup(${stringRepr(value.text)})`;
    if (value instanceof Undefined) return "Undefined";
    if (value instanceof PyRange) {
      return `range(${value.start}, ${value.stop}${value.step === 1 ? "" : `, ${value.step}`})`;
    }
    const text = value instanceof PyInstance ? value.print() : undefined;
    return text ?? this.#container(value);
  }

  #container(value: Value): string {
    if (this.#open.has(value)) return isList(value) ? "[...]" : value instanceof PyTuple ? "(...)" : "{...}";
    if (this.#open.size > MAX_NESTING)
      throw new JinjaError("RecursionError", `a value nested deeper than ${MAX_NESTING}`);
    this.#open.add(value);
    try {
      if (isList(value)) return `[${this.#all(value)}]`;
      if (value instanceof PyTuple) return `(${this.#all(value.items)}${value.items.length === 1 ? "," : ""})`;
      if (value instanceof PyDict) return this.#dict(value);
      if (value instanceof DictView) return `${value.typeName}([${this.#all(value.toArray())}])`;
      if (value instanceof Namespace) return `<Namespace ${this.repr(value.attributes)}>`;
    } finally {
      this.#open.delete(value);
    }
    const what = value instanceof PyIterator ? "pass it through list first" : "did you mean to call it?";
    throw unsupported(`a ${typeName(value)} has no text that stays the same: ${what}`);
  }

  #all(items: readonly Value[]): string {
    return items.map((item) => this.repr(item)).join(", ");
  }

  #dict(dict: PyDict): string {
    const pairs = Array.from(dict.entries(), ([key, value]) => `${this.repr(key)}: ${this.repr(value)}`);
    return `{${pairs.join(", ")}}`;
  }
}

/** @throws {JinjaError} ValueError beyond the 4300 digits that Python prints. */
export function intText(value: number | bigint): string {
  const text = String(value);
  spendBits(text.length * 3);
  if (text.length > 4300 + (text[0] === "-" ? 1 : 0)) {
    throw new JinjaError("ValueError", "Exceeds the limit (4300 digits) for integer string conversion");
  }
  return text;
}

const ESCAPED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function stringRepr(text: string): string {
  spendText(text.length * 4);
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replaceAll("\\", "\\\\").replace(unprintable(), (char) => {
    spend(1);
    return ESCAPED[char] ?? escapeOf(char.codePointAt(0)!);
  });
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

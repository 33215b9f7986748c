// JSON as Python's json module writes and reads it.
import { spend, spendText } from "./budget.js";
import { JinjaError, typeError, valueError } from "./errors.js";
import { floatRepr } from "./numbers.js";
import { order } from "./operators.js";
import { intText } from "./printing.js";
import { plain } from "./twins.js";
import { float, int, isInt, isList, PyDict, PyFloat, PyTuple, textOf, typeName, type Value } from "./values.js";

interface DumpOptions {
  readonly ensureAscii: boolean;
  /** What a level is indented by; undefined for one line. */
  readonly indent: string | undefined;
  readonly separators: readonly [item: string, key: string] | undefined;
  readonly sortKeys: boolean;
}

const MAX_NESTING = 300;

/** json.dumps() @throws {JinjaError} TypeError, ValueError */
export function dumps(value: Value, options: DumpOptions): string {
  const text = new Writer(options).write(value, "\n");
  spendText(text.length);
  return text;
}

class Writer {
  readonly #options: DumpOptions;
  readonly #item: string;
  readonly #key: string;
  #depth = 0;

  constructor(options: DumpOptions) {
    this.#options = options;
    [this.#item, this.#key] = options.separators ?? [options.indent === undefined ? ", " : ",", ": "];
  }

  /** `line` is the line break of the level around. */
  write(value: Value, line: string): string {
    spend(4);
    if (value === null) return "null";
    if (typeof value === "boolean") return String(value);
    if (isInt(value)) return intText(value);
    if (value instanceof PyFloat) return floatText(value.value);
    const text = textOf(value);
    if (text !== undefined) return this.#string(text);
    const items = isList(value) ? value : value instanceof PyTuple ? value.items : undefined;
    if (items === undefined && !(value instanceof PyDict)) {
      throw typeError(`Object of type ${typeName(value)} is not JSON serializable`);
    }
    if (++this.#depth > MAX_NESTING)
      throw new JinjaError("RecursionError", `a value nested deeper than ${MAX_NESTING}`);
    const inner = line + (this.#options.indent ?? "");
    spendText(inner.length * (items ? items.length : (value as PyDict).size));
    const parts = items ? items.map((item) => this.write(item, inner)) : this.#pairs(value as PyDict, inner);
    this.#depth--;
    const [open, close] = items ? "[]" : "{}";
    if (parts.length === 0) return `${open}${close}`;
    if (this.#options.indent === undefined) return open + parts.join(this.#item) + close;
    return open + inner + parts.join(this.#item + inner) + line + close;
  }

  #pairs(dict: PyDict, inner: string): string[] {
    const entries = Array.from(dict.entries());
    if (this.#options.sortKeys) entries.sort(([a], [b]) => order(a, b, "<"));
    return entries.map(([key, value]) => `${this.#string(keyText(key))}${this.#key}${this.write(value, inner)}`);
  }

  #string(text: string): string {
    spendText(text.length);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what JSON escapes
    const escaped = text.replace(/["\\\x00-\x1f]/g, (char) => {
      spend(1);
      return ESCAPES[char] ?? unicodeEscape(char);
    });
    return `"${this.#options.ensureAscii ? asciiOnly(escaped) : escaped}"`;
  }
}

/** A twin of an ASCII character is one (twins.ts). */
function asciiOnly(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all that is not ASCII
  const others = /[^\x00-\x7e]/gu;
  return text.replace(others, (char) => {
    spend(4);
    return plain(char) < "\x7f" ? char : plain(char).split("").map(unicodeEscape).join("");
  });
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

function unicodeEscape(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value < 0 ? "-Infinity" : "Infinity";
  return floatRepr(value);
}

function keyText(key: Value): string {
  const text = textOf(key);
  if (text !== undefined) return text;
  if (key === null) return "null";
  if (typeof key === "boolean") return String(key);
  if (isInt(key)) return intText(key);
  if (key instanceof PyFloat) return floatText(key.value);
  throw typeError(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

/**
 * JSON as json.loads reads it: 1.0 stays a float, ints are exact, NaN and Infinity are numbers, of two equal names the last counts.
 *
 * @throws {JinjaError} JSONDecodeError
 */
export function parseJson(text: string): Value {
  return new Reader(text).document();
}

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const BLANK = /[ \t\n\r]*/y;
const CONSTANTS: readonly (readonly [string, Value])[] = [
  ["null", null],
  ["true", true],
  ["false", false],
  ["NaN", float(Number.NaN)],
  ["Infinity", float(Number.POSITIVE_INFINITY)],
  ["-Infinity", float(Number.NEGATIVE_INFINITY)],
];

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Value {
    if (this.#text.startsWith("\ufeff")) throw this.#error("Unexpected UTF-8 BOM");
    this.#blank();
    const value = this.#value();
    this.#blank();
    if (this.#at < this.#text.length) throw this.#error("Extra data");
    return value;
  }

  #error(message: string): JinjaError {
    const before = this.#text.slice(0, this.#at);
    const line = before.split("\n").length;
    const column = this.#at - before.lastIndexOf("\n");
    return new JinjaError("JSONDecodeError", `${message}: line ${line} column ${column} (char ${this.#at})`);
  }

  #blank(): void {
    BLANK.lastIndex = this.#at;
    BLANK.test(this.#text);
    this.#at = BLANK.lastIndex;
  }

  #value(): Value {
    const char = this.#text[this.#at];
    if (char === '"') return this.#string();
    if (char === "{" || char === "[") {
      if (++this.#depth > MAX_NESTING) throw this.#error(`Nested deeper than ${MAX_NESTING}`);
      const value = char === "{" ? this.#object() : this.#array();
      this.#depth--;
      return value;
    }
    NUMBER.lastIndex = this.#at;
    const number = NUMBER.exec(this.#text);
    if (number !== null) {
      this.#at = NUMBER.lastIndex;
      const [text, fraction, exponent] = number;
      if (fraction !== undefined || exponent !== undefined) return float(Number(text));
      if (text.length > 4301) throw valueError("Exceeds the limit (4300 digits) for integer string conversion");
      return int(BigInt(text));
    }
    for (const [word, value] of CONSTANTS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    throw this.#error("Expecting value");
  }

  #array(): Value {
    const items: Value[] = [];
    this.#at++;
    this.#blank();
    if (this.#skip("]")) return items;
    for (;;) {
      this.#blank();
      items.push(this.#value());
      this.#blank();
      if (this.#skip("]")) return items;
      if (!this.#skip(",")) throw this.#error("Expecting ',' delimiter");
    }
  }

  #object(): Value {
    const dict = new PyDict();
    this.#at++;
    this.#blank();
    if (this.#skip("}")) return dict;
    for (;;) {
      this.#blank();
      if (this.#text[this.#at] !== '"') throw this.#error("Expecting property name enclosed in double quotes");
      const key = this.#string();
      this.#blank();
      if (!this.#skip(":")) throw this.#error("Expecting ':' delimiter");
      this.#blank();
      dict.set(key, this.#value());
      this.#blank();
      if (this.#skip("}")) return dict;
      if (!this.#skip(",")) throw this.#error("Expecting ',' delimiter");
    }
  }

  #skip(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #string(): string {
    let end = this.#at + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    if (end >= this.#text.length) throw this.#error("Unterminated string starting at");
    const literal = this.#text.slice(this.#at, end + 1);
    try {
      // What is between the quotes is read alike in both languages.
      const value = JSON.parse(literal) as string;
      this.#at = end + 1;
      return value;
    } catch {
      throw this.#error("Invalid control character or escape in the string");
    }
  }
}

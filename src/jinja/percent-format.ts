// `format % values`, as CPython's unicode_format (Objects/unicodeobject.c).
import { spend, spendText } from "./budget.js";
import { JinjaError, typeError, unsupported, valueError } from "./errors.js";
import { floatDigits } from "./number-format.js";
import { numeric, toDouble, truncate } from "./numbers.js";
import { intText, repr, str } from "./printing.js";
import { characters, escapeOf, textLength } from "./text.js";
import {
  isList,
  Markup,
  PyDict,
  PyFloat,
  PyTuple,
  refuseUndefined,
  textOf,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

interface Directive {
  readonly key: string | undefined;
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
}

/** @throws {JinjaError} TypeError, ValueError, KeyError */
export function formatPercent(format: Value, values: Value): Value {
  if (format instanceof Markup) throw unsupported("the operator % of a safe string");
  return new PercentFormat(textOf(format)!, values).run();
}

class PercentFormat {
  readonly #format: string;
  readonly #values: Value;
  readonly #args: readonly Value[];
  #nextArg = 0;
  #at = 0;

  constructor(format: string, values: Value) {
    this.#format = format;
    this.#values = values;
    this.#args = values instanceof PyTuple ? values.items : [values];
  }

  run(): string {
    let result = "";
    const format = this.#format;
    for (;;) {
      const next = format.indexOf("%", this.#at);
      if (next === -1) break;
      result += format.slice(this.#at, next);
      this.#at = next + 1;
      result += this.#directive();
      spendText(result.length);
    }
    // A mapping need not be used up; neither is what could be one.
    const mayRemain = !(this.#values instanceof PyTuple) && isMapping(this.#values);
    if (this.#nextArg < this.#args.length && !mayRemain && !this.#usedMapping) {
      throw typeError("not all arguments converted during string formatting");
    }
    return result + format.slice(this.#at);
  }

  #usedMapping = false;

  #char(): string {
    const char = this.#format[this.#at++];
    if (char === undefined) throw valueError("incomplete format");
    return char;
  }

  #argument(): Value {
    if (this.#nextArg >= this.#args.length) throw typeError("not enough arguments for format string");
    return this.#args[this.#nextArg++]!;
  }

  #directive(): string {
    spend(4);
    let key: string | undefined;
    let char = this.#char();
    if (char === "(") {
      key = this.#key();
      char = this.#char();
    }
    let flags = "";
    while ("-+ #0".includes(char)) {
      flags += char;
      char = this.#char();
    }
    let width = 0;
    [width, char] = this.#size(char, "width") as [number, string];
    if (width < 0) {
      flags += "-";
      width = -width;
    }
    let precision: number | undefined;
    if (char === ".") {
      [precision, char] = this.#size(this.#char(), "prec");
      precision = Math.max(0, precision);
    }
    if ("hlL".includes(char)) char = this.#char();
    if (char === "%") return "%";
    const value = key === undefined ? this.#argument() : this.#lookup(key);
    return this.#convert(char, value, { key, flags, width, precision });
  }

  #key(): string {
    if (!isMapping(this.#values)) throw typeError("format requires a mapping");
    let depth = 1;
    const from = this.#at;
    while (depth > 0) {
      const char = this.#format[this.#at++];
      if (char === undefined) throw valueError("incomplete format key");
      if (char === "(") depth++;
      else if (char === ")") depth--;
    }
    return this.#format.slice(from, this.#at - 1);
  }

  #lookup(key: string): Value {
    this.#usedMapping = true;
    if (!(this.#values instanceof PyDict))
      throw typeError(`${typeName(this.#values)} indices must be integers or slices, not str`);
    const value = this.#values.get(key);
    if (value === undefined) throw new JinjaError("KeyError", repr(key));
    return value;
  }

  /** A number in the format, or `*` for one from the arguments; and the character after it. */
  #size(first: string, what: string): [number, string] {
    if (first === "*") {
      const value = this.#argument();
      if (typeof value !== "number" && typeof value !== "boolean") throw typeError("* wants int");
      return [Number(value), this.#char()];
    }
    let digits = "";
    let char = first;
    while (char >= "0" && char <= "9") {
      digits += char;
      char = this.#char();
    }
    if (digits.length > 15) throw valueError(`${what} too big`);
    return [Number(digits), char];
  }

  #convert(char: string, value: Value, { flags, width, precision }: Directive): string {
    if (char === "s" || char === "r" || char === "a") {
      let text = char === "s" ? str(value) : repr(value);
      if (char === "a") text = ascii(text);
      if (precision !== undefined) text = characters(text).slice(0, precision).join("");
      return padded(text, "", width, flags.includes("-"), " ");
    }
    if (char === "c") return padded(character(value), "", width, flags.includes("-"), " ");
    const [sign, digits] = this.#number(char, value, precision, flags.includes("#"));
    const plus = sign || (flags.includes("+") ? "+" : flags.includes(" ") ? " " : "");
    return padded(digits, plus, width, flags.includes("-"), flags.includes("0") ? "0" : " ");
  }

  #number(
    char: string,
    value: Value,
    precision: number | undefined,
    alternate: boolean,
  ): [sign: string, digits: string] {
    if ("eEfFgG".includes(char)) {
      const number = numeric(value);
      if (number === undefined) {
        refuseUndefined(value);
        throw typeError(`must be real number, not ${typeName(value)}`);
      }
      const double = toDouble(number);
      const digits = floatDigits(double, char.toLowerCase() as "e" | "f" | "g", precision ?? 6, alternate);
      const negative = double < 0 || Object.is(double, -0);
      return [negative ? "-" : "", char === char.toUpperCase() ? digits.toUpperCase() : digits];
    }
    if (!"diuoxX".includes(char)) {
      throw valueError(
        `unsupported format character '${char}' (0x${char.charCodeAt(0).toString(16)}) at index ${this.#at - 1}`,
      );
    }
    const int = wholeNumber(char, value);
    const [sign, magnitude] = int < 0n ? ["-", -int] : ["", int];
    const radix = char === "o" ? 8 : char === "x" || char === "X" ? 16 : 10;
    let digits = radix === 10 ? intText(magnitude) : magnitude.toString(radix);
    digits = digits.padStart(precision ?? 0, "0");
    if (alternate && radix !== 10) digits = `0${char === "o" ? "o" : "x"}${digits}`;
    return [sign, char === "X" ? digits.toUpperCase() : digits];
  }
}

function wholeNumber(char: string, value: Value): bigint {
  const number = numeric(value);
  if (number === undefined) {
    if (!"xXo".includes(char)) refuseUndefined(value);
    throw typeError(
      `%${char} format: a ${"xXo".includes(char) ? "integer" : "real number"} is required, not ${typeName(value)}`,
    );
  }
  if (number instanceof PyFloat) {
    if ("xXo".includes(char)) throw typeError(`%${char} format: an integer is required, not float`);
    return BigInt(truncate(number.value));
  }
  return BigInt(number);
}

function character(value: Value): string {
  if (typeof value === "number" || typeof value === "boolean") {
    const code = Number(value);
    if (code < 0 || code > 0x10ffff) throw new JinjaError("OverflowError", "%c arg not in range(0x110000)");
    if (code >= 0xd800 && code <= 0xdfff) throw unsupported("a surrogate as a character");
    return String.fromCodePoint(code);
  }
  const text = textOf(value);
  if (text === undefined || textLength(text) !== 1) throw typeError("%c requires int or char");
  return text;
}

function padded(digits: string, sign: string, width: number, left: boolean, fill: string): string {
  const missing = width - sign.length - textLength(digits);
  if (missing <= 0) return sign + digits;
  spendText(width);
  if (left) return sign + digits + " ".repeat(missing);
  const prefix = fill === "0" ? (/^0[xXo]/.exec(digits)?.[0] ?? "") : "";
  if (fill === "0") return sign + prefix + "0".repeat(missing) + digits.slice(prefix.length);
  return " ".repeat(missing) + sign + digits;
}

/** What ascii() makes of a repr. */
function ascii(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, (char) => escapeOf(char.codePointAt(0)!));
}

/** What PyMapping_Check takes, strings and tuples left out as the operator does. */
function isMapping(value: Value): boolean {
  return value instanceof PyDict || isList(value) || value instanceof Undefined || typeName(value) === "range";
}

// format(value, specification): [[fill]align][sign][z][#][0][width][grouping][.precision][type].
import { spendText } from "./budget.js";
import { JinjaError, typeError, unsupported, valueError } from "./errors.js";
import { floatDigits, withoutZeros } from "./number-format.js";
import { floatRepr, numeric, toDouble } from "./numbers.js";
import { intText, str } from "./printing.js";
import { characters, textLength } from "./text.js";
import { Markup, PyFloat, textOf, typeName, Undefined, type Value } from "./values.js";

interface Spec {
  readonly fill: string;
  readonly align: string | undefined;
  readonly sign: string;
  readonly negativeZero: boolean;
  readonly alternate: boolean;
  /** How numbers are aligned: a width that begins with 0 puts zeros behind the sign. */
  readonly numberAlign: string;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | undefined;
  readonly type: string;
}

const SPEC = /^(?:(.)?([<>=^]))?([-+ ]?)(z?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?(.?)$/su;

function parse(spec: string, value: Value): Spec {
  const match = SPEC.exec(spec);
  if (match === null) throw valueError(`Invalid format specifier '${spec}' for object of type '${typeName(value)}'`);
  const [, fill, align, sign, z, alternate, zero, width, grouping, precision, type] = match;
  if (Number(width) > Number.MAX_SAFE_INTEGER || Number(precision ?? 0) > 2 ** 31)
    throw valueError("Too many decimal digits in format string");
  return {
    fill: fill ?? (zero ? "0" : " "),
    align,
    sign: sign!,
    negativeZero: z !== "",
    alternate: alternate !== "",
    numberAlign: align ?? (zero ? "=" : ">"),
    width: Number(width),
    grouping: grouping!,
    precision: precision === undefined ? undefined : Number(precision),
    type: type!,
  };
}

/** @throws {JinjaError} ValueError, TypeError */
export function formatValue(value: Value, spec: string): string {
  if (value instanceof Markup) throw unsupported("a safe string in str.format");
  if (spec === "") return str(value);
  const text = textOf(value);
  if (text !== undefined) return formatText(text, parse(spec, value), value);
  const number = numeric(value);
  if (number === undefined) {
    if (value instanceof Undefined)
      throw new JinjaError("TypeError", "unsupported format string passed to Undefined.__format__");
    throw typeError(`unsupported format string passed to ${typeName(value)}.__format__`);
  }
  const parsed = parse(spec, value);
  if (number instanceof PyFloat || "eEfFgG%".includes(parsed.type || " "))
    return formatFloat(toDouble(number), parsed, value);
  return formatInt(BigInt(number), parsed, value);
}

function unknownType(type: string, value: Value): JinjaError {
  return valueError(`Unknown format code '${type}' for object of type '${typeName(value)}'`);
}

function formatText(text: string, spec: Spec, value: Value): string {
  if (spec.type !== "" && spec.type !== "s") throw unknownType(spec.type, value);
  if (spec.sign !== "") throw valueError("Sign not allowed in string format specifier");
  if (spec.alternate) throw valueError("Alternate form (#) not allowed in string format specifier");
  if (spec.negativeZero) throw valueError("Negative zero coercion (z) not allowed in format specifier with string");
  if (spec.grouping !== "") throw valueError(`Cannot specify '${spec.grouping}' with 's'.`);
  if (spec.align === "=") throw valueError("'=' alignment not allowed in string format specifier");
  const cut = spec.precision === undefined ? text : characters(text).slice(0, spec.precision).join("");
  return aligned("", cut, spec, spec.align ?? "<");
}

function aligned(sign: string, body: string, spec: Spec, align: string): string {
  const missing = spec.width - textLength(sign) - textLength(body);
  if (missing <= 0) return sign + body;
  spendText(spec.width * spec.fill.length);
  if (align === "<") return sign + body + spec.fill.repeat(missing);
  if (align === "=") return sign + spec.fill.repeat(missing) + body;
  const left = align === "^" ? Math.floor(missing / 2) : missing;
  return spec.fill.repeat(left) + sign + body + spec.fill.repeat(missing - left);
}

function signOf(negative: boolean, spec: Spec): string {
  return negative ? "-" : spec.sign === "-" ? "" : spec.sign;
}

/** Groups of digits, and zeros in front where zeros fill the width. */
function grouped(digits: string, spec: Spec, size: number, signLength: number, tail: string): string {
  if (spec.grouping === "") return digits;
  let whole = digits;
  if (spec.fill === "0" && spec.numberAlign === "=") {
    spendText(spec.width);
    const room = spec.width - signLength - tail.length;
    // So many digits that with a mark between groups they fill the room, and no group begins with its mark.
    let count = Math.max(whole.length, room - Math.floor(room / (size + 1)));
    while (count + Math.floor((count - 1) / size) < room) count++;
    whole = whole.padStart(count, "0");
  }
  const first = whole.length % size || size;
  const groups = [whole.slice(0, first)];
  for (let at = first; at < whole.length; at += size) groups.push(whole.slice(at, at + size));
  return groups.join(spec.grouping);
}

function formatInt(value: bigint, spec: Spec, original: Value): string {
  const radix = RADIX[spec.type];
  if (spec.precision !== undefined) throw valueError("Precision not allowed in integer format specifier");
  if (spec.negativeZero) throw valueError("Negative zero coercion (z) not allowed in format specifier with integer");
  if (spec.type === "c") {
    if (spec.alternate) throw valueError("Alternate form (#) not allowed with integer format specifier 'c'");
    if (spec.grouping !== "") throw valueError(`Cannot specify '${spec.grouping}' with 'c'.`);
    if (spec.sign !== "") throw valueError("Sign not allowed with integer format specifier 'c'");
    if (value < 0n || value > 0x10ffffn) throw new JinjaError("OverflowError", "%c arg not in range(0x110000)");
    if (value >= 0xd800n && value <= 0xdfffn) throw unsupported("a surrogate as a character");
    return aligned("", String.fromCodePoint(Number(value)), spec, spec.numberAlign);
  }
  if (radix === undefined) throw unknownType(spec.type, original);
  if (spec.type === "n" && spec.grouping !== "") throw valueError(`Cannot specify '${spec.grouping}' with 'n'.`);
  if (spec.grouping === "," && radix !== 10) throw valueError(`Cannot specify ',' with '${spec.type}'.`);
  const magnitude = value < 0n ? -value : value;
  const digits = radix === 10 ? intText(magnitude) : magnitude.toString(radix);
  const cased = spec.type === "X" ? digits.toUpperCase() : digits;
  const prefix = signOf(value < 0n, spec) + (spec.alternate && radix !== 10 ? `0${spec.type}` : "");
  return aligned(prefix, grouped(cased, spec, radix === 10 ? 3 : 4, prefix.length, ""), spec, spec.numberAlign);
}

const RADIX: Readonly<Record<string, number>> = {
  __proto__: null as never,
  "": 10,
  d: 10,
  n: 10,
  b: 2,
  o: 8,
  x: 16,
  X: 16,
};

function formatFloat(value: number, spec: Spec, original: Value): string {
  const style = spec.type.toLowerCase();
  if (style === "" && spec.alternate) throw unsupported("the flag # of a float without a type in str.format");
  if (!["", "e", "f", "g", "n", "%"].includes(style) || spec.type === "N") throw unknownType(spec.type, original);
  if (spec.type === "n" && spec.grouping !== "") throw valueError(`Cannot specify '${spec.grouping}' with 'n'.`);
  let digits: string;
  if (style === "%") digits = `${floatDigits(value * 100, "f", spec.precision ?? 6, spec.alternate)}%`;
  else if (style === "" && spec.precision === undefined) digits = floatRepr(Math.abs(value));
  else if (style === "") digits = generalWithPoint(value, spec);
  else
    digits = floatDigits(value, style === "n" ? "g" : (style as "e" | "f" | "g"), spec.precision ?? 6, spec.alternate);
  if (spec.type !== style) digits = digits.toUpperCase();
  const zero = spec.negativeZero && /^[0.]*(?:e[+-]\d+)?%?$/i.test(digits);
  const sign = signOf((value < 0 || Object.is(value, -0)) && !zero, spec);
  const [, whole, tail] = /^(\d*)(.*)$/s.exec(digits)!;
  const text = whole === "" ? digits : grouped(whole!, spec, 3, sign.length, tail!) + tail;
  return aligned(sign, text, spec, spec.numberAlign);
}

/** No type, but a precision: like g, with a digit after the point at least, and an exponent already where that digit would not fit. */
function generalWithPoint(value: number, spec: Spec): string {
  const precision = Math.max(1, spec.precision!);
  const text = floatDigits(value, "g", precision, spec.alternate);
  if (!Number.isFinite(value) || text.includes("e")) return text;
  const exponent = text.replace(/\..*/, "").length - 1;
  if (text.includes(".") || exponent < precision - 1) return text.includes(".") ? text : `${text}.0`;
  const scientific = floatDigits(value, "e", precision - 1, spec.alternate);
  return spec.alternate ? scientific : withoutZeros(scientific);
}

// Filters on numbers, and those that make numbers of other values.
import { asIndex, asText, type Bound, bound, type Filter } from "./arguments.js";
import { spendBits } from "./budget.js";
import { JinjaError, typeError } from "./errors.js";
import { floatDigits } from "./number-format.js";
import { arithmetic, numeric, roundedQuotient, toDouble, truncate } from "./numbers.js";
import { binary } from "./operators.js";
import { parseFloatText, parseIntText } from "./parse-number.js";
import { float, int, PyFloat, refuseUndefined, textOf, truthy, typeName, type Value } from "./values.js";

export const numberFilters: Readonly<Record<string, Filter>> = {
  abs: bound("abs", "x /", ([given]) => {
    const number = numeric(given!);
    if (number === undefined) throw typeError(`bad operand type for abs(): '${typeName(given!)}'`);
    if (number instanceof PyFloat) return float(Math.abs(number.value));
    return number < 0 ? arithmetic("-", 0, number) : number;
  }),
  int: bound("int", "value default? base?", toInt),
  float: bound("float", "value default?", ([given, missing]) => {
    const double = asDouble(given!);
    return double === undefined ? (missing === undefined ? float(0) : missing) : float(double);
  }),
  round: bound("round", "value precision? method?", round),
  filesizeformat: bound("filesizeformat", "value binary?", ([given, useBinary]) => {
    return fileSize(given!, useBinary !== undefined && truthy(useBinary));
  }),
};

/** float(value), undefined where Python raises a TypeError or ValueError. @throws {JinjaError} UndefinedError, OverflowError */
function asDouble(value: Value): number | undefined {
  refuseUndefined(value);
  const number = numeric(value);
  if (number !== undefined) return toDouble(number);
  const text = textOf(value);
  return text === undefined ? undefined : parseFloatText(text);
}

/** do_int: int(value, base), else int(float(value)), else the default. */
function toInt([value, missing, base]: Bound): Value {
  refuseUndefined(value);
  const otherwise = missing === undefined ? 0 : missing;
  const text = textOf(value!);
  const number = numeric(value!);
  if (text !== undefined) {
    const parsed = parseIntText(text, asIndex(base, 10));
    if (parsed !== undefined) return int(parsed);
  } else if (number !== undefined && !(number instanceof PyFloat)) {
    return number;
  } else if (number instanceof PyFloat && !Number.isNaN(number.value)) {
    // An infinity is an OverflowError, which the filter catches the second time only.
    return truncate(number.value);
  }
  const double = asDouble(value!);
  return double === undefined || !Number.isFinite(double) ? otherwise : truncate(double);
}

function round([value, precision, method]: Bound): Value {
  const how = method === undefined ? "common" : asText(method, "method");
  if (how !== "common" && how !== "ceil" && how !== "floor") {
    throw new JinjaError("FilterArgumentError", "method must be common, ceil or floor");
  }
  const number = numeric(value!);
  if (number === undefined) {
    if (how !== "common") refuseUndefined(value);
    throw typeError(`type ${typeName(value!)} doesn't define __round__ method`);
  }
  if (how !== "common") {
    const scale = binary("**", 10, precision === undefined ? 0 : precision);
    const scaled = numeric(binary("*", number, scale))!;
    const whole =
      scaled instanceof PyFloat
        ? truncate(how === "ceil" ? Math.ceil(scaled.value) : Math.floor(scaled.value))
        : scaled;
    return binary("/", whole, scale);
  }
  const places = precision === undefined ? 0 : precision;
  if (places === null) return number instanceof PyFloat ? roundToInt(number.value) : number;
  const digits = asIndex(places, 0);
  return number instanceof PyFloat ? float(roundFloat(number.value, digits)) : roundInt(BigInt(number), digits);
}

function roundToInt(value: number): Value {
  const floor = Math.floor(value);
  const rest = value - floor;
  return truncate(rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor);
}

/** The double nearest to the decimal that is nearest to the value, ties to even. */
function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > 323) return value;
  if (digits < -308) return 0 * value;
  const text = digits >= 0 ? floatDigits(value, "f", digits, false) : tens(value, -digits);
  const rounded = Number(text) * (value < 0 || Object.is(value, -0) ? -1 : 1);
  if (!Number.isFinite(rounded)) throw new JinjaError("OverflowError", "rounded value too large to represent");
  return rounded;
}

function tens(value: number, zeros: number): string {
  const exact = floatDigits(value, "f", 1074, false).split(".") as [string, string];
  spendBits((zeros + 1074) * 8);
  const scale = 10n ** BigInt(zeros + 1074);
  return String(roundedQuotient(BigInt(exact[0] + exact[1]), scale) * 10n ** BigInt(zeros));
}

function roundInt(value: bigint, digits: number): number | bigint {
  if (digits >= 0) return int(value);
  if (digits < -5000) return 0;
  const scale = 10n ** BigInt(-digits);
  const rounded = roundedQuotient(value < 0n ? -value : value, scale) * scale;
  return int(value < 0n ? -rounded : rounded);
}

function fileSize(value: Value, useBinary: boolean): string {
  const bytes = asDouble(value);
  if (bytes === undefined) {
    throw textOf(value) === undefined
      ? typeError(`float() argument must be a string or a real number, not '${typeName(value)}'`)
      : new JinjaError("ValueError", "could not convert string to float");
  }
  const base = useBinary ? 1024 : 1000;
  if (bytes === 1) return "1 Byte";
  if (bytes < base) return `${String(truncate(bytes))} Bytes`;
  const letters = useBinary ? "KMGTPEZY" : "kMGTPEZY";
  for (let i = 0; ; i++) {
    const unit = Number(BigInt(base) ** BigInt(i + 2));
    if (bytes < unit || i === letters.length - 1) {
      const sign = bytes < 0 ? "-" : "";
      return `${sign}${floatDigits((base * bytes) / unit, "f", 1, false)} ${letters[i]}${useBinary ? "i" : ""}B`;
    }
  }
}

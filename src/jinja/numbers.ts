// Arithmetic of Python's int (exact), bool (an int) and float, and floats as text.
import { spend, spendBits } from "./budget.js";
import { JinjaError, unsupported } from "./errors.js";
import { float, int, PyFloat, type Value } from "./values.js";

/** A number's int or float, undefined for what is no number. bool is an int. */
export function numeric(value: Value): number | bigint | PyFloat | undefined {
  if (typeof value === "number" || typeof value === "bigint" || value instanceof PyFloat) return value;
  return typeof value === "boolean" ? Number(value) : undefined;
}

type Numeric = number | bigint | PyFloat;

/** @throws {JinjaError} OverflowError */
export function toDouble(value: Numeric): number {
  if (value instanceof PyFloat) return value.value;
  const double = Number(value);
  if (!Number.isFinite(double)) throw new JinjaError("OverflowError", "int too large to convert to float");
  return double;
}

/** Python's limit for printing ints holds for making them too: no template needs more. */
const MAX_BITS = 14_300;

function checked(value: bigint): number | bigint {
  const small = int(value);
  if (typeof small === "bigint" && (small < 0n ? -small : small) >> BigInt(MAX_BITS) !== 0n) {
    throw new JinjaError("LimitError", `an int of more than ${MAX_BITS} bits`);
  }
  return small;
}

function zeroDivision(message: string): JinjaError {
  return new JinjaError("ZeroDivisionError", message);
}

/** @throws {JinjaError} ZeroDivisionError, OverflowError */
export function arithmetic(op: string, a: Numeric, b: Numeric): Numeric {
  if (a instanceof PyFloat || b instanceof PyFloat) return floatArithmetic(op, toDouble(a), toDouble(b));
  if (typeof a === "number" && typeof b === "number") {
    const quick = op === "+" ? a + b : op === "-" ? a - b : op === "*" ? a * b : Number.NaN;
    if (Number.isSafeInteger(quick)) return quick + 0;
  }
  spend(1);
  if (typeof a === "bigint") spendBits(bitLength(a < 0n ? -a : a));
  if (typeof b === "bigint") spendBits(bitLength(b < 0n ? -b : b));
  switch (op) {
    case "+":
      return checked(BigInt(a) + BigInt(b));
    case "-":
      return checked(BigInt(a) - BigInt(b));
    case "*":
      return checked(BigInt(a) * BigInt(b));
    case "/":
      return float(divideInts(BigInt(a), BigInt(b)));
    case "//":
      return floorDivide(BigInt(a), BigInt(b))[0];
    case "%":
      return floorDivide(BigInt(a), BigInt(b))[1];
    default:
      return power(a, b);
  }
}

function floorDivide(a: bigint, b: bigint): [number | bigint, number | bigint] {
  if (b === 0n) throw zeroDivision("integer division or modulo by zero");
  let quotient = a / b;
  let rest = a % b;
  if (rest !== 0n && rest < 0n !== b < 0n) {
    quotient -= 1n;
    rest += b;
  }
  return [int(quotient), int(rest)];
}

/** The double nearest to a / b. */
function divideInts(a: bigint, b: bigint): number {
  if (b === 0n) throw zeroDivision("division by zero");
  const small = [a, b].every((x) => typeof int(x) === "number");
  if (small) return Number(a) / Number(b);
  const sign = a < 0n !== b < 0n ? -1 : 1;
  const quotient = fraction(a < 0n ? -a : a, b < 0n ? -b : b);
  if (!Number.isFinite(quotient))
    throw new JinjaError("OverflowError", "integer division result too large for a float");
  return sign * quotient;
}

/** The double nearest to a / b for a ≥ 0, b > 0: 66 bits of the quotient, and whether there is a rest, decide the rounding. */
export function fraction(a: bigint, b: bigint): number {
  if (a === 0n) return 0;
  const shift = 66 - (bitLength(a) - bitLength(b));
  const [top, bottom] = shift >= 0 ? [a << BigInt(shift), b] : [a, b << BigInt(-shift)];
  // The last bit is "sticky": it stands for all that was cut off.
  let quotient = top / bottom;
  if (quotient * bottom !== top) quotient |= 1n;
  const exponent = -shift;
  if (exponent + bitLength(quotient) < -1021) {
    // A subnormal result is rounded at a fixed place: its last bit is 2^-1074.
    const drop = BigInt(-1074 - exponent);
    const half = 1n << (drop - 1n);
    const low = quotient & ((1n << drop) - 1n);
    let kept = quotient >> drop;
    if (low > half || (low === half && (kept & 1n) === 1n)) kept += 1n;
    return Number(kept) * 2 ** -1074;
  }
  // In two steps, as the power of two alone may be too small for a double.
  return exponent < -900 ? Number(quotient) * 2 ** (exponent + 200) * 2 ** -200 : Number(quotient) * 2 ** exponent;
}

/** Whether a / b lies within 1/32 of a step from the middle of two doubles: glibc's pow() is off by up to 0.52 steps. */
function isNearMiddle(a: bigint, b: bigint): boolean {
  const shift = 70 - (bitLength(a) - bitLength(b));
  const quotient = shift >= 0 ? (a << BigInt(shift)) / b : a / (b << BigInt(-shift));
  const step = 1n << BigInt(bitLength(quotient) - 53);
  const beyondHalf = (quotient & (step - 1n)) - step / 2n;
  return (beyondHalf < 0n ? -beyondHalf : beyondHalf) * 32n < step;
}

function bitLength(value: bigint): number {
  return value.toString(16).length * 4 - Math.clz32(Number.parseInt(value.toString(16)[0]!, 16)) + 28;
}

function power(a: number | bigint, b: number | bigint): Numeric {
  if (b < 0) {
    if (a === 0) throw zeroDivision("0.0 cannot be raised to a negative power");
    return floatPower(toDouble(a), toDouble(b));
  }
  const base = BigInt(a);
  if (base === 0n || base === 1n || base === -1n)
    return int(base ** (BigInt(b) === 0n ? 0n : (BigInt(b) & 1n) === 1n ? 1n : 2n));
  if (Number(b) * (bitLength(base < 0n ? -base : base) - 1) > MAX_BITS) {
    throw new JinjaError("LimitError", `an int of more than ${MAX_BITS} bits`);
  }
  spendBits(Number(b) * bitLength(base < 0n ? -base : base));
  return checked(base ** BigInt(b));
}

function floatArithmetic(op: string, a: number, b: number): PyFloat {
  switch (op) {
    case "+":
      return float(a + b);
    case "-":
      return float(a - b);
    case "*":
      return float(a * b);
    case "/":
      if (b === 0) throw zeroDivision("float division by zero");
      return float(a / b);
    case "//":
      if (b === 0) throw zeroDivision("float floor division by zero");
      return float(floatDivmod(a, b)[0]);
    case "%":
      if (b === 0) throw zeroDivision("float modulo");
      return float(floatDivmod(a, b)[1]);
    default:
      return floatPower(a, b);
  }
}

/** As CPython's float_divmod (Objects/floatobject.c). */
function floatDivmod(a: number, b: number): [number, number] {
  let rest = a % b;
  let quotient = (a - rest) / b;
  if (rest !== 0) {
    if (b < 0 !== rest < 0) {
      rest += b;
      quotient -= 1;
    }
  } else {
    rest = b < 0 ? -0 : 0;
  }
  if (quotient === 0) return [a / b < 0 ? -0 : 0 * (a / b), rest];
  let floor = Math.floor(quotient);
  if (quotient - floor > 0.5) floor += 1;
  return [floor, rest];
}

/** Exact for whole exponents of moderate size; of others the C library's last bit is not known, so they are refused. */
function floatPower(a: number, b: number): PyFloat {
  if (b === 0 || a === 1) return float(1);
  if (b === 0.5 && a >= 0 && Number.isFinite(a)) return float(Math.sqrt(a));
  if (a === 0 && b < 0) throw zeroDivision("0.0 cannot be raised to a negative power");
  if (!Number.isFinite(a) || !Number.isFinite(b)) return float(a ** b);
  if (!Number.isInteger(b) || Math.abs(b) > 1100) {
    throw unsupported("a power of floats whose exponent is not a whole number up to 1100");
  }
  if (a === 0) return float(a ** b);
  const [mantissa, exponent] = decompose(Math.abs(a));
  const n = BigInt(Math.abs(b));
  const scale = exponent * Math.abs(b);
  spendBits(53 * Math.abs(b) + Math.abs(scale));
  const raised = mantissa ** n;
  const top = scale >= 0 ? raised << BigInt(scale) : raised;
  const bottom = scale >= 0 ? 1n : 1n << BigInt(-scale);
  if (b > 0 ? isNearMiddle(top, bottom) : isNearMiddle(bottom, top)) {
    throw unsupported("a power of floats that lies between two floats: which one is taken depends on the C library");
  }
  const result = b > 0 ? fraction(top, bottom) : fraction(bottom, top);
  if (!Number.isFinite(result)) throw new JinjaError("OverflowError", "(34, 'Numerical result out of range')");
  return float(a < 0 && b % 2 !== 0 ? -result : result);
}

/** A positive double as mantissa × 2^exponent. */
function decompose(value: number): [bigint, number] {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const exponent = Number((raw >> 52n) & 0x7ffn);
  const mantissa = raw & 0xfffffffffffffn;
  return exponent === 0 ? [mantissa, -1074] : [mantissa | 0x10000000000000n, exponent - 1075];
}

export function negate(value: Numeric): Numeric {
  if (value instanceof PyFloat) return float(-value.value);
  return typeof value === "bigint" ? int(-value) : value === 0 ? 0 : -value;
}

/** −1, 0, 1, or NaN where one is not a number. Ints and floats are compared exactly. */
export function compareNumbers(a: Numeric, b: Numeric): number {
  const x = a instanceof PyFloat ? a.value : a;
  const y = b instanceof PyFloat ? b.value : b;
  return x < y ? -1 : x > y ? 1 : Number.isNaN(x) || Number.isNaN(y) ? Number.NaN : 0;
}

/** The int next to zero of a float. @throws {JinjaError} ValueError, OverflowError */
export function truncate(value: number): number | bigint {
  if (Number.isNaN(value)) throw new JinjaError("ValueError", "cannot convert float NaN to integer");
  if (!Number.isFinite(value)) throw new JinjaError("OverflowError", "cannot convert float infinity to integer");
  return int(BigInt(Math.trunc(value)));
}

/** repr of a float: the shortest digits that give it back, with an exponent below 1e-4 and from 1e16. */
export function floatRepr(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  const sign = value < 0 || Object.is(value, -0) ? "-" : "";
  const [digits, exponentText] = Math.abs(value).toExponential().split("e") as [string, string];
  const exponent = Number(exponentText);
  const mantissa = digits.replace(".", "");
  if (exponent < -4 || exponent >= 16) return `${sign}${digits}e${exponentSuffix(exponent)}`;
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${mantissa}`;
  const whole = mantissa.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${mantissa.slice(exponent + 1) || "0"}`;
}

/** At least two digits and always a sign. */
export function exponentSuffix(exponent: number): string {
  return `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** |value| × 10^places to the nearest whole number, ties to even: exact, where toFixed rounds ties up. */
export function scaledDigits(value: number, places: number): bigint {
  const [mantissa, exponent] = decompose(Math.abs(value));
  spendBits(Math.abs(exponent) + Math.abs(places) * 4);
  let top = mantissa;
  let bottom = 1n;
  if (exponent >= 0) top <<= BigInt(exponent);
  else bottom <<= BigInt(-exponent);
  if (places >= 0) top *= 10n ** BigInt(places);
  else bottom *= 10n ** BigInt(-places);
  return roundedQuotient(top, bottom);
}

/** a / b rounded to the nearest whole number, ties to even, for a ≥ 0 and b > 0. */
export function roundedQuotient(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  const twice = (a - quotient * b) * 2n;
  return twice > b || (twice === b && (quotient & 1n) === 1n) ? quotient + 1n : quotient;
}

// Numbers as text: what format specifications and the % operator share.
import { spendCharacters } from "./budget.js";
import { JinjaError } from "./errors.js";
import { exponentSuffix, scaledDigits } from "./numbers.js";

/** The last digit of a double that is not zero is the 1074th. */
const MAX_PRECISION = 5000;

/** The digits of a finite |value| in the style of C's e, f and g; no sign. */
export function floatDigits(value: number, style: "e" | "f" | "g", precision: number, alternate: boolean): string {
  if (precision > MAX_PRECISION) throw new JinjaError("LimitError", `more than ${MAX_PRECISION} digits of a float`);
  spendCharacters((precision + 400) >>> 2);
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return "inf";
  if (style === "f") return fixed(value, precision, alternate);
  if (style === "e") return scientific(value, precision, alternate);
  // g: significant digits, the shorter of the two forms, without zeros at the end.
  const significant = Math.max(1, precision);
  const exponent = exponentAt(value, significant - 1);
  const text =
    exponent < -4 || exponent >= significant
      ? scientific(value, significant - 1, alternate)
      : fixed(value, significant - 1 - exponent, alternate);
  return alternate ? text : withoutZeros(text);
}

/** Without the zeros that end the digits behind the point. */
export function withoutZeros(text: string): string {
  const [mantissa, exponent] = text.split("e") as [string, string | undefined];
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return exponent === undefined ? short : `${short}e${exponent}`;
}

function fixed(value: number, places: number, alternate: boolean): string {
  const digits = scaledDigits(value, places)
    .toString()
    .padStart(places + 1, "0");
  const point = digits.length - places;
  return places > 0 ? `${digits.slice(0, point)}.${digits.slice(point)}` : digits + (alternate ? "." : "");
}

/** The decimal exponent of |value| once it is rounded to `places` digits after the first. */
function exponentAt(value: number, places: number): number {
  if (value === 0) return 0;
  const guess = Number(Math.abs(value).toExponential().split("e")[1]);
  // The shortest digits may have been rounded up to a power of ten (1e-7 is less), and these digits may be rounded up to one.
  const fits = (exponent: number) => scaledDigits(value, places - exponent).toString().length === places + 1;
  return fits(guess - 1) ? guess - 1 : fits(guess) ? guess : guess + 1;
}

function scientific(value: number, places: number, alternate: boolean): string {
  const exponent = exponentAt(value, places);
  const digits = value === 0 ? "0".repeat(places + 1) : scaledDigits(value, places - exponent).toString();
  const mantissa = places > 0 ? `${digits[0]}.${digits.slice(1)}` : digits + (alternate ? "." : "");
  return `${mantissa}e${exponentSuffix(exponent)}`;
}

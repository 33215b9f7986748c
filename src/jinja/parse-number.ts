// int() and float() of strings.
import { spendCharacters } from "./budget.js";
import { JinjaError } from "./errors.js";
import { isDecimalDigit } from "./unicode.js";
import { trimEnd, trimStart } from "./whitespace.js";

/** Decimal digits of any script as ASCII ones, as int() and float() read them. */
function asciiDigits(text: string): string {
  return text.replace(/[^\0-\x7f]/gu, (char) => {
    if (!isDecimalDigit(char)) return char;
    // A script's digits stand in a row from its zero; rows may follow each other.
    const code = char.codePointAt(0)!;
    let before = 0;
    while (isDecimalDigit(String.fromCodePoint(code - before - 1))) before++;
    spendCharacters(before * 2);
    return String(before % 10);
  });
}

/** int(text, base); undefined for a ValueError. @throws {JinjaError} ValueError for a base that is none */
export function parseIntText(text: string, base: number): bigint | undefined {
  if (base !== 0 && (base < 2 || base > 36))
    throw new JinjaError("ValueError", "int() base must be >= 2 and <= 36, or 0");
  spendCharacters(text.length);
  const match = /^([+-]?)(0[bBoOxX]_?)?([0-9a-zA-Z]+(?:_[0-9a-zA-Z]+)*)$/.exec(asciiDigits(trimEnd(trimStart(text))));
  if (match === null) return undefined;
  const [, sign, prefix, body] = match as unknown as [string, string, string | undefined, string];
  let digits = body.replaceAll("_", "");
  let radix = base;
  const named = prefix === undefined ? undefined : { b: 2, o: 8, x: 16 }[prefix[1]!.toLowerCase()];
  if (named !== undefined && (base === 0 || base === named)) radix = named;
  else if (prefix !== undefined) {
    // What looks like a prefix are digits of a larger base.
    if (base === 0) return undefined;
    digits = prefix.replace("_", "") + digits;
  }
  if (radix === 0) {
    radix = 10;
    if (/^0\d/.test(digits) && !/^0+$/.test(digits)) return undefined;
  }
  if (digits.length > 4300 && (radix & (radix - 1)) !== 0) return undefined;
  if (digits.length > 4300) throw new JinjaError("LimitError", "an int of more than 4300 digits");
  spendCharacters(digits.length * 8);
  let value = 0n;
  for (const char of digits.toLowerCase()) {
    const digit = Number.parseInt(char, 36);
    if (digit >= radix) return undefined;
    value = value * BigInt(radix) + BigInt(digit);
  }
  return sign === "-" ? -value : value;
}

/** float(text); undefined for a ValueError. */
export function parseFloatText(text: string): number | undefined {
  spendCharacters(text.length);
  const plain = asciiDigits(trimEnd(trimStart(text)));
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(plain);
  if (special !== null) {
    const value = special[2]!.toLowerCase() === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;
    return special[1] === "-" ? -value : value;
  }
  const DIGITS = "\\d(?:_?\\d)*";
  const pattern = new RegExp(`^[+-]?(?:${DIGITS}(?:\\.(?:${DIGITS})?)?|\\.${DIGITS})(?:[eE][+-]?${DIGITS})?$`);
  return pattern.test(plain) ? Number(plain.replaceAll("_", "")) : undefined;
}

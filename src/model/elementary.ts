// Powers and logarithms, of +, −, ×, ÷ and √ alone: each of these has one result everywhere. The language lets an engine
// approximate `**` and Math.log, and theirs have changed between versions.

/** base^exponent, for an f32 from 0 to below 1 as the exponent; within 2⁻⁴⁷ of its value. */
export function power(base: number, exponent: number): number {
  let [result, root] = [1, base];
  // By the exponent's digits after the binary point: the n-th stands for the 2ⁿ-th root.
  for (let rest = 2 * exponent; rest > 0; rest = 2 * (rest % 1)) {
    root = Math.sqrt(root);
    if (rest >= 1) result *= root;
  }
  return result;
}

/** base^exponent, for a whole exponent ≥ 0. */
export function wholePower(base: number, exponent: number): number {
  let [result, square] = [1, base];
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square;
    square *= square;
  }
  return result;
}

/** The natural logarithm of a positive number; within 2⁻⁵⁰ of its value. */
export function logarithm(x: number): number {
  let [mantissa, exponent] = [x, 0];
  for (; mantissa > Math.SQRT2; mantissa /= 2) exponent += 1;
  for (; mantissa < Math.SQRT1_2; mantissa *= 2) exponent -= 1;
  // ln m = 2 artanh s = 2 (s + s³/3 + s⁵/5 + …), where |s| is at most 0.172.
  const s = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  for (let n = 23; n > 0; n -= 2) sum = sum * s * s + 1 / n;
  return exponent * Math.LN2 + 2 * s * sum;
}

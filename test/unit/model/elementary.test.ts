// Powers and logarithms that are the same whatever engine computes them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { logarithm, power } from "#quipu/model/elementary.js";

/** A positive number as a whole number times 2^exponent. */
function exact(x: number): { whole: bigint; exponent: number } {
  let [whole, exponent] = [x, 0];
  for (; !Number.isInteger(whole); whole *= 2) exponent -= 1;
  return { whole: BigInt(whole), exponent };
}

/** Whether whole · 2^exponent is more than base^n. */
const exceeds = (whole: bigint, exponent: number, base: bigint, n: number) =>
  exponent < 0 ? whole > (base ** BigInt(n)) << BigInt(-exponent) : whole << BigInt(exponent) > base ** BigInt(n);

test.each([10_000, 500_000, 1_000_000, 3])("θ^(j/64) for θ = %i is the nearest f32, by whole numbers", (theta) => {
  for (let j = 0; j < 64; j++) {
    const { whole, exponent } = exact(Math.fround(power(theta, j / 64)));
    const bits = whole.toString(2).length;
    const digits = whole << BigInt(24 - bits); // an f32 has 24: half a step away are the bounds
    const at = exponent - (24 - bits) - 1;
    expect([j, exceeds((2n * digits - 1n) ** 64n, 64 * at, BigInt(theta), j)]).toEqual([j, false]);
    expect([j, exceeds((2n * digits + 1n) ** 64n, 64 * at, BigInt(theta), j)]).toEqual([j, true]);
  }
});

test("powers for exponents of 24 digits, and of bases below 1", () => {
  for (const [base, exponent, expected] of [
    [10_000, Math.fround(2 / 96), 1.2115276655567482], // mpmath, 60 digits
    [500_000, Math.fround(94 / 96), 380_400.93506478664],
    [0.25, 0.5, 0.5],
    [1, Math.fround(2 / 3), 1],
  ] as const) {
    expect(Math.abs(power(base, exponent) / expected - 1)).toBeLessThan(2 ** -47);
  }
});

test("logarithms", () => {
  for (const [x, expected] of [
    [1, 0],
    [2, Math.LN2],
    [10, Math.LN10],
    [1.41, 0.34358970439007686],
    [40, 3.6888794541139363],
    [0.1, -Math.LN10],
    [1 + 2 ** -30, 9.313225741817976e-10],
    [Number.MAX_VALUE, 709.782712893384],
    [Number.MIN_VALUE, -744.4400719213812],
  ] as const) {
    expect(Math.abs(logarithm(x) - expected)).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -50);
  }
});

test("no number of a model comes from a function that the engine approximates", () => {
  const folder = join("src", "model");
  const found = readdirSync(folder).flatMap((name) => {
    const code = readFileSync(join(folder, name), "utf8").replace(/^ *(\/\/|\/?\*).*$/gm, "");
    return (
      code.match(/Math\.(a?(cos|sin|tan)h?|atan2|exp|expm1|log\w*|pow|cbrt|hypot)\b|(?<!2 )\*\*|2 \*\* \D.*/g) ?? []
    ).map((call) => `${name}: ${call}`);
  });
  expect(found).toEqual([]);
});

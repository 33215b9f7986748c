// The tests' own arithmetic, before anything is measured by it.
import { exp, fma, philox, rint } from "./canonical.js";
import { f32OfBits, randomNumbers } from "./contents.js";

/** a · b + c in integers, rounded once: slow, and without a shortcut. */
function fmaOfIntegers(a: number, b: number, c: number): number {
  const scale = 2 ** 160; // every operand below is a multiple of 2⁻¹⁶⁰
  const exact = BigInt(a * 2 ** 80) * BigInt(b * 2 ** 80) + BigInt(c * scale);
  const magnitude = exact < 0n ? -exact : exact;
  const drop = BigInt(Math.max(0, magnitude.toString(2).length - 24));
  const step = 1n << drop;
  const [below, rest] = [magnitude / step, magnitude % step];
  const up = rest * 2n > step || (rest * 2n === step && below % 2n === 1n);
  const rounded = Number((up ? below + 1n : below) * step) / scale;
  return exact < 0n ? -rounded : rounded;
}

test("fma rounds once", () => {
  const next = randomNumbers(1);
  const draw = (bits: number) => Math.fround(Math.round(next() * 2 ** 23) * 2 ** Math.round(next() * bits));
  for (let i = 0; i < 2000; i++) {
    const [a, b, c] = [draw(12), draw(12), draw(36)];
    expect(fma(a, b, c)).toBe(fmaOfIntegers(a, b, c) + 0);
  }
  // A tie of f32 that is broken below the last bit of f64: half an ulp of c, more or less by 2⁻⁴⁶ of itself.
  let twice = 0;
  for (let i = 0; i < 200; i++) {
    const m = Math.round(next() * 100) * 2 ** -23;
    const c = 1 + Math.round((next() + 1) * 2 ** 21) * 2 ** -23;
    for (const [a, b] of [
      [1 + m, 1 - m],
      [-1 - m, 1 - m],
    ] as const) {
      expect(fma(a * 2 ** -12, b * 2 ** -12, c)).toBe(fmaOfIntegers(a * 2 ** -12, b * 2 ** -12, c));
      twice += Math.fround(a * b * 2 ** -24 + c) === fma(a * 2 ** -12, b * 2 ** -12, c) ? 0 : 1;
    }
  }
  expect(twice).toBeGreaterThan(50);
});

test("rint goes to even", () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 2.4999].map((x) => rint(x) + 0)).toEqual([0, 2, 2, 0, -2, 126, 2]);
});

test("philox gives the known answers of Random123", () => {
  const hex = (list: number[]) => list.map((x) => x.toString(16).padStart(8, "0")).join(" ");
  const ones = 0xffffffff;
  expect(hex(philox([0, 0], [0, 0, 0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  expect(hex(philox([ones, ones], [ones, ones, ones, ones]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
  const pi = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344];
  expect(hex(philox([0xa4093822, 0x299f31d0], pi))).toBe("d16cfe09 94fdcceb 5001e420 24126ea1");
});

test("exp is within 1 ulp wherever it is normal, and what numerics.md says elsewhere", () => {
  expect([-104.1, Number.NEGATIVE_INFINITY, 88.73, Number.POSITIVE_INFINITY, Number.NaN, 0, -0].map(exp)).toEqual([
    0,
    0,
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.NaN,
    1,
    1,
  ]);
  // Every f32 of [2⁻³⁰, 88.72] and of [−87.33, −2⁻³⁰] at a stride; 1 in 64 takes minutes.
  const stride = process.env.QUIPU_EXHAUSTIVE ? 64 : 7919;
  let worst = 0;
  for (const [from, to] of [
    [0x30800000, 0x42b17180],
    [0xb0800000, 0xc2aeac4f],
  ] as const) {
    for (let bits = from; bits <= to; bits += stride) {
      const x = f32OfBits(bits);
      const exact = Math.exp(x);
      const ulp = 2 ** (Math.floor(Math.log2(exact)) - 23);
      worst = Math.max(worst, Math.abs(exp(x) - exact) / ulp);
    }
  }
  expect(worst).toBeLessThan(1);
});

// The arithmetic of docs/numerics.md in TypeScript, written from its text: what the scalar target must give to the bit.
// + − × ÷ √ are the f64 operation rounded to f32 (exact, as 53 ≥ 2 · 24 + 2), fma is made exact below.
// Globals are slow to reach from inside jest's vm context: hot loops use these.
export const { fround } = Math;
const { ceil, floor, min } = Math;
const { isFinite: finite, isNaN: notANumber } = Number;

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/** a · b + c of f32 numbers, rounded once to f32. */
export function fma(a: number, b: number, c: number): number {
  const product = a * b; // exact: 48 bits
  const sum = product + c;
  const back = sum - product;
  const error = product - (sum - back) + (c - back); // Knuth's two-sum: product + c = sum + error
  if (!(error !== 0 && finite(sum))) return fround(sum);
  // Rounds to odd, so that the second rounding sees on which side of a tie the number lies.
  double[0] = sum;
  if ((words[0]! & 1) === 0) {
    if (error > 0 === sum > 0) words[0]! |= 1;
    else if (words[0]! === 0) [words[0], words[1]] = [0xffffffff, words[1]! - 1];
    else words[0]! -= 1;
  }
  return fround(double[0]);
}

/** Sixteen lanes halved to one number. */
export function sumLanes(lanes: Float32Array): number {
  const s = lanes.slice(0, 16);
  for (let half = 8; half >= 1; half /= 2) {
    for (let i = 0; i < half; i++) s[i] = s[i]! + s[i + half]!;
  }
  return s[0]!;
}

/** Σ a[aAt + k] · b[bAt + k] for k < count in sixteen lanes, in blocks of `block`. */
export function dot(
  a: ArrayLike<number>,
  aAt: number,
  b: ArrayLike<number>,
  bAt: number,
  count: number,
  block = Number.POSITIVE_INFINITY,
): number {
  let total = 0;
  for (let begin = 0; begin < count; begin += block) {
    const length = min(block, count - begin);
    const lanes = new Float32Array(16);
    for (let k = 0; k < ceil(length / 16) * 16; k++) {
      const at = begin + k;
      lanes[k % 16] = k < length ? fma(a[aAt + at]!, b[bAt + at]!, lanes[k % 16]!) : fma(0, 0, lanes[k % 16]!);
    }
    total = begin === 0 ? sumLanes(lanes) : fround(total + sumLanes(lanes));
  }
  return total;
}

/** The same in one chain, k ascending. */
export function chain(
  a: ArrayLike<number>,
  aAt: number,
  b: ArrayLike<number>,
  bAt: number,
  count: number,
  block: number,
): number {
  let total = 0;
  for (let begin = 0; begin < count; begin += block) {
    let sum = 0;
    for (let k = begin; k < min(begin + block, count); k++) sum = fma(a[aAt + k]!, b[bAt + k]!, sum);
    total = begin === 0 ? sum : fround(total + sum);
  }
  return total;
}

/** To the nearest whole number, ties to even; |x| < 2⁵¹. */
export function rint(x: number): number {
  return x + 1.5 * 2 ** 52 - 1.5 * 2 ** 52;
}

const LOG2E = 0x1715476 * 2 ** -24;
const LN2_HIGH = 0x162e43 * 2 ** -21;
const LN2_LOW = -0x105c61 * 2 ** -49;
const EXP = [
  0x1a151bc * 2 ** -37,
  0x16d4366 * 2 ** -34,
  0x11110c6 * 2 ** -31,
  0x15554e8 * 2 ** -29,
  0x1555556 * 2 ** -27,
  0.5,
  1,
  1,
] as const;

/** The coefficients of native/cpu/kernels/exp.h. */
export function exp(x: number): number {
  if (notANumber(x)) return Number.NaN;
  if (x < -104) return 0;
  const bounded = min(x, 89);
  const n = rint(fround(bounded * LOG2E));
  const r = fma(-n, LN2_LOW, fma(-n, LN2_HIGH, bounded));
  let p: number = EXP[0];
  for (let i = 1; i < EXP.length; i++) p = fma(p, r, EXP[i]!);
  const half = floor(n / 2);
  return fround(fround(p * 2 ** half) * 2 ** (n - half));
}

const ROUND_A = 0xd2511f53n;
const ROUND_B = 0xcd9e8d57n;
const MASK = 0xffffffffn;

/** Philox 4x32-10. */
export function philox(key: readonly [number, number], counter: readonly number[]): number[] {
  let [k0, k1] = [BigInt(key[0] >>> 0), BigInt(key[1] >>> 0)];
  let [c0, c1, c2, c3] = counter.map((word) => BigInt(word >>> 0)) as [bigint, bigint, bigint, bigint];
  for (let round = 0; round < 10; round++) {
    const a = ROUND_A * c0;
    const b = ROUND_B * c2;
    [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, b & MASK, (a >> 32n) ^ c3 ^ k1, a & MASK];
    k0 = (k0 + 0x9e3779b9n) & MASK;
    k1 = (k1 + 0xbb67ae85n) & MASK;
  }
  return [c0, c1, c2, c3].map(Number);
}

/** The uniform number of [0, 1) for a request's seed (low and high word) and a position. */
export function uniform(seed: readonly [number, number], position: number): number {
  const [first, second] = philox(seed, [position, 0, 0, 0]) as [number, number];
  return ((first >>> 5) * 2 ** 26 + (second >>> 6)) / 2 ** 53;
}

/** Bound of the relative error of n operations in a row, each rounded to f32: γₙ = n u / (1 − n u), u = 2⁻²⁴ (Higham). */
export function gamma(n: number): number {
  return (n * 2 ** -24) / (1 - n * 2 ** -24);
}

// The packed formats of docs/numerics.md in TypeScript: what codes, scales and minimums are, and the products of rows by them.
import type { Packed } from "#quipu/device/formats.js";
import { f16Bits, widen } from "./contents.js";

const { abs, fround, max, min } = Math;

/** To the nearest whole number, ties to even. */
function rint(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

const clamped = (x: number, least: number, most: number) => max(least, min(most, rint(x)));
const half = (x: number) => widen("f16", Uint16Array.of(f16Bits(x)))[0]! + 0;
const inverse = (x: number) => (x === 0 ? 0 : fround(1 / x));

/** A row of activations as codes. */
export interface Activations {
  readonly codes: Int8Array;
  /** By block. */
  readonly scales: Float32Array;
}

export interface PackedRows {
  /** What the elements are. */
  readonly values: Float64Array;
  /** What codes stand for, where they are rotated. */
  readonly rotated: Float64Array;
  /** k of a row of activations that share a scale. */
  readonly block: number;
  /** Σ a · w of one row of activations and row n of the weights. */
  product(a: Activations, n: number): number;
}

export function packedRows(format: Packed, weights: ArrayLike<number>, rows: number, depth: number): PackedRows {
  return format === "q4" ? q4Rows(weights, rows, depth) : scaledRows(format, weights, rows, depth);
}

/** Of activations that share a scale: blocks of 32 are rotated, superblocks are not. */
export function codesOf(given: Float32Array, block: number): Activations {
  const x = Float32Array.from(block === 32 ? rotated(given, given.length, 1 / 8) : given);
  const codes = new Int8Array(x.length);
  const scales = new Float32Array(Math.ceil(x.length / block));
  for (let b = 0; b < scales.length; b++) {
    const part = x.subarray(b * block, (b + 1) * block);
    const most = part.reduce((most, value) => max(most, abs(value)), 0);
    if (!part.every(Number.isFinite)) scales[b] = Number.NaN;
    else if (most >= 2 ** -100) {
      scales[b] = fround(most / 127);
      const by = fround(127 / most);
      part.forEach((value, i) => {
        codes[b * block + i] = rint(fround(value * by));
      });
    }
  }
  return { codes, scales };
}

/** Rows of `depth` whose whole blocks of 32 are rotated: the Hadamard matrix of 32 times each, by butterflies, times `by`. */
function rotated(x: ArrayLike<number>, depth: number, by: number): Float64Array {
  const result = Float64Array.from(x);
  for (const [first, count] of parts(x.length / depth, depth, 32)) {
    if (count < 32) continue;
    for (let apart = 1; apart < 32; apart *= 2) {
      for (let k = first; k < first + 32; k++) {
        if (((k - first) & apart) !== 0) continue;
        const [a, b] = [result[k]!, result[k + apart]!];
        result[k] = fround(a + b);
        result[k + apart] = fround(a - b);
      }
    }
    for (let k = first; k < first + 32; k++) result[k] = fround(result[k]! * by);
  }
  return result;
}

/** Parts of the rows, `size` columns each but the last: where they begin in the weights, and how long they are. */
function* parts(rows: number, depth: number, size: number): Generator<[first: number, count: number]> {
  for (let n = 0; n < rows; n++) for (let k = 0; k < depth; k += size) yield [n * depth + k, min(size, depth - k)];
}

function dot(a: ArrayLike<number>, from: number, b: ArrayLike<number>, at: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += a[from + i]! * b[at + i]!;
  return sum;
}

// --- q8 and q6 -----------------------------------------------------------------------------------------------------------

function scaleOf(x: readonly number[], most: number, step: number): number {
  const codeOf = (value: number, scale: number) => clamped(fround(value * inverse(scale)), -most, most - 1);
  const attempt = (scale: number) => {
    const sums = { scale, error: 0, products: 0, squares: 0 };
    for (const value of x) {
      const code = codeOf(value, scale);
      const off = fround(fround(scale * code) - value);
      sums.error = fmaf(off, off, sums.error);
      sums.products = fmaf(value, code, sums.products);
      sums.squares = fmaf(code, code, sums.squares);
    }
    return sums;
  };
  const extreme = x.reduce((extreme, value) => (abs(value) > abs(extreme) ? value : extreme), 0);
  let best = { scale: 0, error: Number.POSITIVE_INFINITY, products: 0, squares: 0 };
  for (let t = -3; t <= 5; t++) {
    const tried = attempt(half(fround(extreme / -(most + t * step))));
    if (tried.error < best.error) best = tried;
  }
  const refitted = attempt(half(fround(best.products * inverse(best.squares))));
  return refitted.error < best.error ? refitted.scale : best.scale;
}

function scaledRows(format: "q8" | "q6", given: ArrayLike<number>, rows: number, depth: number): PackedRows {
  const weights = rotated(given, depth, 1 / 4);
  const [most, step] = format === "q8" ? [128, 1] : [32, 0.5];
  const blocks = Math.ceil(depth / 32);
  const codes = new Int8Array(rows * depth);
  const values = new Float64Array(rows * depth);
  const scales: number[] = [];
  for (const [first, count] of parts(rows, depth, 32)) {
    const x = Array.from({ length: count }, (_, i) => weights[first + i]!);
    const scale = scaleOf(x, most, step);
    for (let i = 0; i < count; i++) {
      codes[first + i] = clamped(fround(x[i]! * inverse(scale)), -most, most - 1);
      values[first + i] = scale * codes[first + i]!;
    }
    scales.push(scale);
  }
  const product = (a: Activations, n: number) => {
    let total = 0;
    for (let b = 0; b < blocks; b++) {
      const sum = dot(a.codes, b * 32, codes, n * depth + b * 32, min(32, depth - b * 32));
      total = fmaf(sum, fround(scales[n * blocks + b]! * a.scales[b]!), total);
    }
    return total;
  };
  return { values: rotated(values, depth, 1 / 8), rotated: values, block: 32, product };
}

// --- q4 ------------------------------------------------------------------------------------------------------------------

interface Pair {
  readonly scale: number;
  readonly minimum: number;
  readonly error: number;
}

interface Supers {
  readonly scale: number;
  readonly minimum: number;
}

const NO_PAIR: Pair = { scale: 0, minimum: 0, error: Number.POSITIVE_INFINITY };
const whole = (x: number) => clamped(x, 0, 63);
const added = (values: readonly number[]) => values.reduce((sum, x) => fround(sum + x), 0);

function q4Code(x: number, scale: number, minimum: number): number {
  const by = inverse(scale);
  return clamped(fmaf(x, by, fround(minimum * by)), 0, 15);
}

function tried(x: readonly number[], supers: Supers, scale: number, minimum: number, best: Pair): Pair {
  const [s, m] = [fround(supers.scale * scale), fround(supers.minimum * minimum)];
  let error = 0;
  for (const value of x) {
    const off = fround(fmaf(s, q4Code(value, s, m), -m) - value);
    error = fmaf(off, off, error);
  }
  return error < best.error ? { scale, minimum, error } : best;
}

function onGrid(x: readonly number[], supers: Supers): Pair {
  const least = min(0, ...x);
  const range = fround(max(0, ...x) - least);
  const THIRD = fround(0.3);
  let best = NO_PAIR;
  for (let below = -3; below <= 2; below++) {
    for (let above = -3; above <= 2; above++) {
      const low = fround(THIRD * below);
      const levels = fround(fround(15 + low) + fround(THIRD * above));
      const scale = whole(fround(fround(range * inverse(supers.scale)) / levels));
      const minimum = fmaf(-low, fround(supers.scale * scale), -least);
      best = tried(x, supers, scale, whole(fround(minimum * inverse(supers.minimum))), best);
    }
  }
  return best;
}

function near(x: readonly number[], supers: Supers, { scale, minimum }: Pair): Pair {
  let best = NO_PAIR;
  for (const u of [-1, 0, 1])
    for (const v of [-1, 0, 1]) best = tried(x, supers, whole(scale + u), whole(minimum + v), best);
  return best;
}

function refitted(blocks: readonly (readonly number[])[], pairs: readonly Pair[], supers: Supers): Supers | undefined {
  let [aa, ab, bb, xa, xb] = [0, 0, 0, 0, 0];
  for (const [i, x] of blocks.entries()) {
    const { scale: a, minimum: b } = pairs[i]!;
    const codes = x.map((value) => q4Code(value, fround(supers.scale * a), fround(supers.minimum * b)));
    aa = fmaf(
      a * a,
      codes.reduce((sum, c) => sum + c * c, 0),
      aa,
    );
    ab = fmaf(
      a * b,
      codes.reduce((sum, c) => sum + c, 0),
      ab,
    );
    bb = fmaf(b * b, x.length, bb);
    xa = fmaf(
      a,
      x.reduce((sum, value, k) => fmaf(value, codes[k]!, sum), 0),
      xa,
    );
    xb = fmaf(b, added(x), xb);
  }
  const difference = (p: number, q: number, r: number, s: number) => fround(fround(p * q) - fround(r * s));
  const determinant = difference(aa, bb, ab, ab);
  if (!(determinant > 0)) return undefined;
  const scale = half(fround(difference(xa, bb, xb, ab) / determinant));
  const minimum = half(fround(difference(xa, ab, xb, aa) / determinant));
  const isUsable = scale > 0 && minimum >= 0 && Number.isFinite(scale) && Number.isFinite(minimum);
  return isUsable ? { scale, minimum } : undefined;
}

function superOf(blocks: readonly (readonly number[])[]): { supers: Supers; pairs: readonly Pair[] } {
  const greatest = (values: readonly number[]) => max(0, ...values);
  const range = greatest(blocks.map((x) => fround(max(0, ...x) - min(0, ...x))));
  const deepest = greatest(blocks.map((x) => -min(0, ...x)));
  const factors = [fround(fround(1.06) / 945), fround(fround(1.02) / 63)] as const;
  let supers: Supers = { scale: half(fround(range * factors[0])), minimum: half(fround(deepest * factors[1])) };
  let pairs = blocks.map((x) => onGrid(x, supers));
  for (let round = 0; round < 3; round++) {
    const next = refitted(blocks, pairs, supers);
    if (next === undefined) break;
    const nextPairs = blocks.map((x, i) => near(x, next, pairs[i]!));
    if (!(added(nextPairs.map(({ error }) => error)) < added(pairs.map(({ error }) => error)))) break;
    [supers, pairs] = [next, nextPairs];
  }
  return { supers, pairs };
}

function q4Rows(weights: ArrayLike<number>, rows: number, depth: number): PackedRows {
  const superblocks = Math.ceil(depth / 256);
  const codes = new Uint8Array(rows * depth);
  const values = new Float64Array(rows * depth);
  const all: ReturnType<typeof superOf>[] = [];
  for (const [first, count] of parts(rows, depth, 256)) {
    const x = Array.from({ length: count }, (_, i) => weights[first + i]!);
    const found = superOf([...parts(1, count, 32)].map(([at, length]) => x.slice(at, at + length)));
    for (let i = 0; i < count; i++) {
      const { scale, minimum } = found.pairs[Math.floor(i / 32)]!;
      const [s, m] = [fround(found.supers.scale * scale), fround(found.supers.minimum * minimum)];
      codes[first + i] = q4Code(x[i]!, s, m);
      values[first + i] = fmaf(s, codes[first + i]!, -m);
    }
    all.push(found);
  }
  const product = (a: Activations, n: number) => {
    let total = 0;
    for (let s = 0; s < superblocks; s++) {
      const { supers, pairs } = all[n * superblocks + s]!;
      let [products, minimums] = [0, 0];
      for (const [i, { scale, minimum }] of pairs.entries()) {
        const k = s * 256 + i * 32;
        const count = min(32, depth - k);
        products += scale * dot(a.codes, k, codes, n * depth + k, count);
        minimums += minimum * a.codes.subarray(k, k + count).reduce((sum, code) => sum + code, 0);
      }
      total = fmaf(fround(products), fround(supers.scale * a.scales[s]!), total);
      total = fmaf(-minimums, fround(supers.minimum * a.scales[s]!), total);
    }
    return total;
  };
  return { values, rotated: values, block: 256, product };
}

/** x · y + z rounded once, for f32 x, y and z: by the part that f64 rounds away (2Sum), to odd. */
function fmaf(x: number, y: number, z: number): number {
  const p = x * y; // exact: 24 + 24 bits
  const sum = p + z;
  const rest = sum - p;
  const error = p - (sum - rest) + (z - rest);
  if (error === 0 || !Number.isFinite(sum)) return fround(sum);
  word.setFloat64(0, sum);
  const low = word.getUint32(4);
  if (low % 2 === 1) return fround(sum); // odd: no tie of f32
  const up = error > 0 === sum > 0;
  if (up) word.setUint32(4, low + 1);
  else word.setBigUint64(0, word.getBigUint64(0) - 1n);
  return fround(word.getFloat64(0));
}

const word = new DataView(new ArrayBuffer(8));

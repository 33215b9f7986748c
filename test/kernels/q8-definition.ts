// q8 of docs/numerics.md in TypeScript: what codes and scales are, and the products of rows by them.
import { f16Bits, widen } from "./contents.js";

const { abs, fround, max, min } = Math;
const BLOCK = 32;

/** To the nearest whole number, ties to even. */
function rint(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

export interface Packed {
  /** By element. */
  readonly codes: Int8Array;
  /** By row and block of 32. */
  readonly scales: Float64Array;
  /** What the elements are then. */
  readonly values: Float64Array;
}

export function packedRows(weights: ArrayLike<number>, rows: number, depth: number): Packed {
  const blocks = Math.ceil(depth / BLOCK);
  const codes = new Int8Array(rows * depth);
  const values = new Float64Array(rows * depth);
  const bits = new Uint16Array(rows * blocks);
  const each = (n: number, block: number, f: (i: number) => void) => {
    for (let k = block * BLOCK; k < min(depth, (block + 1) * BLOCK); k++) f(n * depth + k);
  };
  const eachBlock = (f: (n: number, block: number) => void) => {
    for (let n = 0; n < rows; n++) for (let block = 0; block < blocks; block++) f(n, block);
  };
  eachBlock((n, block) => {
    let most = 0;
    each(n, block, (i) => {
      most = max(most, abs(weights[i]!));
    });
    bits[n * blocks + block] = f16Bits(fround(most / 127));
  });
  const scales = widen("f16", bits);
  eachBlock((n, block) => {
    const scale = scales[n * blocks + block]!;
    each(n, block, (i) => {
      codes[i] = scale === 0 ? 0 : max(-127, min(127, rint(fround(weights[i]! / scale))));
      values[i] = codes[i]! * scale;
    });
  });
  return { codes, scales, values };
}

/** A row of activations as codes. */
export function codesOf(x: Float32Array): { codes: Int8Array; scales: Float32Array } {
  const codes = new Int8Array(x.length);
  const scales = new Float32Array(Math.ceil(x.length / BLOCK));
  for (let block = 0; block < scales.length; block++) {
    const part = x.subarray(block * BLOCK, (block + 1) * BLOCK);
    const most = part.reduce((most, value) => max(most, abs(value)), 0);
    if (!part.every(Number.isFinite)) scales[block] = Number.NaN;
    else if (most >= 2 ** -100) {
      scales[block] = fround(most / 127);
      const inverse = fround(127 / most);
      part.forEach((value, i) => {
        codes[block * BLOCK + i] = rint(fround(value * inverse));
      });
    }
  }
  return { codes, scales };
}

/** Σ a · w of one row of activations and row n of the weights. */
export function product(a: ReturnType<typeof codesOf>, { codes, scales }: Packed, n: number): number {
  const depth = a.codes.length;
  const blocks = a.scales.length;
  let total = 0;
  for (let block = 0; block < blocks; block++) {
    let sum = 0;
    for (let k = block * BLOCK; k < min(depth, (block + 1) * BLOCK); k++) sum += a.codes[k]! * codes[n * depth + k]!;
    // fma: the product of a 20-bit whole number and an f32 is exact in f64, its sum with an f32 nearly so.
    total = fmaf(sum, fround(scales[n * blocks + block]! * a.scales[block]!), total);
  }
  return total;
}

/** x · y + z rounded once, for whole x below 2²⁴ and f32 y and z: by the part that f64 rounds away (2Sum), to odd. */
function fmaf(x: number, y: number, z: number): number {
  const p = x * y; // exact: 20 + 24 bits
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

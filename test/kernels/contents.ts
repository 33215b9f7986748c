// Contents of operands: made from a seed, rounded to stored element types, and what stored elements are as numbers.
import type { Packed } from "#quipu/device/formats.js";
import type { DType } from "#quipu/device/tensor.js";
import type { RowCount } from "#quipu/graph/recording.js";

/** Stored elements: bf16 and f16 as their 16 bits. */
export type Elements = Float32Array | Int32Array | Uint16Array | Int8Array;

export interface Contents {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Elements;
  /** Of index contents: they lie in [−1, bound). */
  readonly bound?: number;
  /** What the first dim is, where a run has its own number: {@link Setup.counts}. */
  readonly leading?: RowCount;
}

// Globals are slow to reach from inside jest's vm context: hot loops use these.
const { abs, floor, imul, max, min } = Math;
const { isNaN: notANumber } = Number;

export const WEIGHT_DTYPES = ["f32", "f16", "bf16"] as const;

/** A generator of numbers in [−1, 1) (mulberry32): the same contents in every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = imul(state ^ (state >>> 15), state | 1);
    t ^= t + imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** f32 contents drawn from `next`. */
export function randomF32(next: () => number, shape: readonly number[], scale = 1): Contents & { data: Float32Array } {
  return f32(
    shape,
    Array.from({ length: sizeOf(shape) }, () => next() * scale),
  );
}

export function f32(shape: readonly number[], values: Iterable<number>): Contents & { data: Float32Array } {
  return { dtype: "f32", shape, data: checked(Float32Array.from(values), shape) };
}

export function i32(
  shape: readonly number[],
  values: Iterable<number>,
  bound?: number,
): Contents & { data: Int32Array } {
  const data = checked(Int32Array.from(values), shape);
  return { dtype: "i32", shape, data, ...(bound === undefined ? {} : { bound }) };
}

/** Room for a packed matrix. How it lies is the device's own: it is filled and read by ops alone. */
export function packed(shape: readonly number[], dtype: Packed = "q8"): Contents {
  return { dtype, shape, data: new Int8Array(0) };
}

/** Contents rounded to `dtype`, and what the stored values are as numbers. */
export function stored(
  dtype: (typeof WEIGHT_DTYPES)[number],
  { shape, data }: { shape: readonly number[]; data: Float32Array },
): { contents: Contents; values: Float64Array } {
  if (dtype === "f32") return { contents: { dtype, shape, data }, values: Float64Array.from(data) };
  const bits = Uint16Array.from(data, dtype === "bf16" ? bf16Bits : f16Bits);
  return { contents: { dtype, shape, data: bits }, values: widen(dtype, bits) };
}

/** The numbers that stored 16-bit elements are. */
export function widen(dtype: "f16" | "bf16", bits: Uint16Array): Float64Array {
  return Float64Array.from(bits, dtype === "bf16" ? (half) => f32OfBits(half << 16) : f16Value);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

export function elements(dtype: DType, size: number): Elements {
  if (dtype === "f32") return new Float32Array(size);
  if (dtype === "i32") return new Int32Array(size);
  return dtype === "i8" ? new Int8Array(size) : new Uint16Array(size);
}

const word = new DataView(new ArrayBuffer(4));

export function f32OfBits(bits: number): number {
  word.setUint32(0, bits >>> 0);
  return word.getFloat32(0);
}

/** Nearest even, by the spacing of f16 at x, an f32; overflow becomes infinity. */
export function f16Bits(x: number): number {
  word.setFloat32(0, x);
  const bits = word.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  if (notANumber(x)) return 0x7e00;
  const exponent = max(-14, ((bits >>> 23) & 0xff) - 127);
  const steps = abs(x) * POWERS[14 + exponent]!; // exact: a power of two
  const below = floor(steps);
  const rest = steps - below;
  const rounded = below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
  return sign | min(rounded + (exponent + 14) * 1024, 0x7c00); // a carry moves into the exponent by itself
}

/** 2 ** (10 − exponent) for f32 exponents from −14. */
const POWERS = Array.from({ length: 143 }, (_, i) => 2 ** (24 - i));

/** Nearest even, for finite numbers. */
function bf16Bits(x: number): number {
  word.setFloat32(0, x);
  const bits = word.getUint32(0);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function f16Value(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function checked<T extends Elements>(data: T, shape: readonly number[]): T {
  if (data.length !== sizeOf(shape)) throw new Error(`${data.length} values for shape [${shape}]`);
  return data;
}

// Runs one op on one instruction set with given contents, and makes the contents. Kernel tests compare every target with the
// scalar one bit for bit, and the scalar one with float64 (docs/numerics.md).
import { openDevice } from "#quipu/device/device.js";
import { availableTargets } from "#quipu/device/machine.js";
import type { DType, Tensor } from "#quipu/device/tensor.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder, type Value } from "#quipu/graph/recorder.js";

/** Stored elements: bf16 and f16 as their 16 bits. */
export type Elements = Float32Array | Int32Array | Uint16Array | Int8Array;

export interface Contents {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Elements;
  /** Of index contents: they lie in [−1, bound). */
  readonly bound?: number;
}

/** Every instruction set that this machine can run, the scalar definition first. */
export const TARGETS = ["scalar", ...availableTargets().filter((target) => target !== "scalar")];
export const THREADS = [1, 2, 3];

/**
 * Runs what `record` records over `inputs`; returns its outputs in order, and the inputs' contents afterwards (state that the
 * op has written in place).
 */
export async function runOp<Name extends string>(
  { target, threads }: { target: string; threads: number },
  inputs: Readonly<Record<Name, Contents>>,
  record: (recorder: Recorder, inputs: Readonly<Record<Name, Value>>) => readonly Value[],
): Promise<{ outputs: Elements[]; state: Record<Name, Elements> }> {
  const device = openDevice({ target, threads });
  try {
    const tensors = mapValues(inputs, ({ dtype, shape, bound }, name) => device.allocate(name, dtype, shape, bound));
    const recorder = new Recorder();
    // A recorder takes tensors wherever it takes values; its signatures are stricter to keep models readable.
    const outputs = record(recorder, tensors as unknown as Readonly<Record<Name, Value>>);
    for (const value of outputs) recorder.output(value);
    const program = compile(device, recorder.finish());
    const names = Object.keys(inputs) as Name[];
    await device.run(null, { writes: names.map((name) => [tensors[name], inputs[name].data]) });
    await program.run();
    const read = outputs.map((value) => ({ tensor: program.output(value), data: elements(value.dtype, value.shape) }));
    const state = mapValues(inputs, ({ dtype, shape }) => elements(dtype, shape));
    await device.run(null, {
      reads: [
        ...read.map(({ tensor, data }) => [tensor, data] as const),
        ...names.map((name) => [tensors[name] as Tensor, state[name]] as const),
      ],
    });
    return { outputs: read.map(({ data }) => data), state };
  } finally {
    await device.dispose();
  }
}

/** Bits of f32 elements, so that −0, +0 and NaN are told apart in comparisons. */
export function bitsOf(data: Elements): Uint32Array {
  if (!(data instanceof Float32Array)) throw new Error("bitsOf: expected f32");
  return new Uint32Array(data.buffer, data.byteOffset, data.length);
}

/** A generator of numbers in [−1, 1) (mulberry32): the same contents in every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** f32 contents drawn from `next`. */
export function randomF32(next: () => number, shape: readonly number[], scale = 1): Contents & { data: Float32Array } {
  return { dtype: "f32", shape, data: Float32Array.from({ length: sizeOf(shape) }, () => next() * scale) };
}

export function i32(
  shape: readonly number[],
  values: Iterable<number>,
  bound?: number,
): Contents & { data: Int32Array } {
  const data = Int32Array.from(values);
  if (data.length !== sizeOf(shape)) throw new Error(`i32: ${data.length} values for shape [${shape}]`);
  return { dtype: "i32", shape, data, ...(bound === undefined ? {} : { bound }) };
}

/** Contents rounded to `dtype`, and what the stored values are as numbers. */
export function stored(
  dtype: "f32" | "f16" | "bf16",
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

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

function elements(dtype: DType, shape: readonly number[]): Elements {
  const size = sizeOf(shape);
  if (dtype === "f32") return new Float32Array(size);
  if (dtype === "i32") return new Int32Array(size);
  return dtype === "i8" ? new Int8Array(size) : new Uint16Array(size);
}

function mapValues<Name extends string, A, B>(
  record: Readonly<Record<Name, A>>,
  map: (value: A, name: Name) => B,
): Record<Name, B> {
  return Object.fromEntries(
    (Object.entries(record) as [Name, A][]).map(([name, value]) => [name, map(value, name)]),
  ) as Record<Name, B>;
}

const word = new DataView(new ArrayBuffer(4));

function f32OfBits(bits: number): number {
  word.setUint32(0, bits >>> 0);
  return word.getFloat32(0);
}

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

/** Nearest even, by the spacing of f16 at x; overflow becomes infinity. */
export function f16Bits(x: number): number {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  if (Number.isNaN(x)) return 0x7e00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const steps = magnitude / 2 ** (exponent - 10); // exact: a power of two
  const below = Math.floor(steps);
  const rest = steps - below;
  const rounded = below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
  const bits = rounded + (exponent + 14) * 1024; // a carry moves into the exponent by itself
  return sign | Math.min(bits, 0x7c00);
}

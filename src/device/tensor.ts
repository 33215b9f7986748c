// A tensor: a place in a buffer of the device. Its elements are never in the JavaScript heap.
import type { NativeBuffer } from "../addon/addon-types.js";

/** Element types. bf16, f16 and i8 are storage: activations are f32. */
export type DType = "f32" | "f16" | "bf16" | "i32" | "i8";

/** Numbers of the program stream (native/core/dtype.h). */
export const DTYPE_CODES: Readonly<Record<DType, number>> = { f32: 0, f16: 1, bf16: 2, i32: 3, i8: 4 };

export const DTYPE_BYTES: Readonly<Record<DType, number>> = { f32: 4, f16: 2, bf16: 2, i32: 4, i8: 1 };

/** At most four dimensions, row-major. */
export type Shape = readonly number[];

export interface Tensor {
  readonly name: string;
  readonly buffer: NativeBuffer;
  /** Byte offset in the buffer. */
  readonly offset: number;
  readonly dtype: DType;
  readonly shape: Shape;
  /** i32 contents lie in [−1, indexBound); 0: not an index tensor. */
  readonly indexBound: number;
}

export function elementsOf(shape: Shape): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

export function bytesOf(dtype: DType, shape: Shape): number {
  return elementsOf(shape) * DTYPE_BYTES[dtype];
}

/** Whether two places share bytes. */
export function overlap(a: Tensor, b: Tensor): boolean {
  const [endOfA, endOfB] = [a.offset + bytesOf(a.dtype, a.shape), b.offset + bytesOf(b.dtype, b.shape)];
  return a.buffer === b.buffer && a.offset < endOfB && b.offset < endOfA;
}

export function formatShape(dtype: DType, shape: Shape): string {
  return `${dtype} [${shape.join(", ")}]`;
}

/** Row `index` of a matrix, or its element of a vector, as a tensor of its own: a view for transfers. */
export function rowOf(tensor: Tensor, index: number): Tensor {
  const [, columns = 1] = tensor.shape;
  return { ...tensor, offset: tensor.offset + index * bytesOf(tensor.dtype, [columns]), shape: [columns] };
}

// A tensor: a place in a buffer of the device. Its elements are never in the JavaScript heap.
import type { NativeBuffer } from "../addon/addon-types.js";
import { type DType, FORMATS, type FormatRow } from "./formats.js";

export type { DType } from "./formats.js";

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

/** Bytes of a tensor, whole blocks of its format. Exact up to 2⁵³; what is more stays more. */
export function bytesOf(dtype: DType, shape: Shape): number {
  const { block, shared }: FormatRow = FORMATS[dtype];
  const last = shape.length - 1;
  let matrixRows = 1;
  for (let d = 0; d < last; d++) matrixRows *= shape[d]!;
  const columns = shape[last] ?? 1;
  const rowBytes = Math.ceil(columns / block.columns) * block.bytes;
  const sharedBytes = shared === undefined ? 0 : Math.ceil(columns / shared.columns) * shared.bytes;
  return Math.ceil(matrixRows / block.rows) * (rowBytes + sharedBytes);
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

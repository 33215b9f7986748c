// The paged cache in tests: keys [pages, G, d, 64], values [pages, G, 64, d], and rows of slots at positions.
import { PAGE_KEYS } from "#quipu/graph/ops.js";
import { fround, rint } from "./canonical.js";
import { type Contents, elements, f16Bits, i32, sizeOf, widen } from "./contents.js";

export type CacheDType = "f32" | "f16" | "i8";
export const CACHE_DTYPES = ["f32", "f16", "i8"] as const;

export interface CacheShape {
  readonly dtype: CacheDType;
  readonly pages: number;
  /** Key/value heads. */
  readonly heads: number;
  /** Head size. */
  readonly size: number;
}

/** A row of the step: its slot and position, −1 for padding. */
export type Place = readonly [slot: number, position: number];

/** The operands slots, positions and pageTable [slots, blocks]. */
export function rowContents(places: readonly Place[], table: readonly (readonly number[])[], pages: number) {
  const blocks = table[0]!.length;
  return {
    slots: i32(
      [places.length],
      places.map(([slot]) => slot),
      table.length,
    ),
    positions: i32(
      [places.length],
      places.map(([, position]) => position),
      blocks * PAGE_KEYS,
    ),
    pageTable: i32([table.length, blocks], table.flat(), pages),
  };
}

/** A cache whose every element is drawn from `next`: numbers of [−1, 1), i8 with scales of (0, 1/64]. */
export function randomCache({ dtype, pages, heads, size }: CacheShape, next: () => number): CacheContents {
  const fill = (shape: number[]): Contents => {
    const data = elements(dtype, sizeOf(shape));
    const draw = { f32: next, f16: () => f16Bits(fround(next())), i8: () => rint(next() * 127) }[dtype];
    for (let i = 0; i < data.length; i++) data[i] = draw();
    return { dtype, shape, data };
  };
  const keys = fill([pages, heads, size, PAGE_KEYS]);
  const values = fill([pages, heads, PAGE_KEYS, size]);
  if (dtype !== "i8") return { keys, values };
  const scales = (): Contents => {
    const shape = [pages, heads, PAGE_KEYS];
    return { dtype: "f32", shape, data: Float32Array.from({ length: sizeOf(shape) }, () => (next() + 1.01) / 128) };
  };
  return { keys, values, keyScales: scales(), valueScales: scales() };
}

export interface CacheContents {
  readonly keys: Contents;
  readonly values: Contents;
  readonly keyScales?: Contents;
  readonly valueScales?: Contents;
}

/** The numbers of stored elements, i8 without their scales. */
export function numbers({ dtype, data }: Contents): Float64Array {
  return dtype === "f16" ? widen("f16", data as Uint16Array) : Float64Array.from(data);
}

/** Where key and value of a position lie: feature c of the key at key(c), of the value at value + c, scales at scale. */
export function placeIn({ dtype, heads, size }: CacheShape, page: number, head: number, position: number) {
  const unit = page * heads + head;
  const at = position % PAGE_KEYS;
  const first = unit * size * PAGE_KEYS;
  const fours = dtype === "i8" ? size - (size % 4) : 0; // codes lie in fours of a key, but for those that are left
  return {
    key: (c: number) => first + (c < fours ? (c - (c % 4)) * PAGE_KEYS + 4 * at + (c % 4) : c * PAGE_KEYS + at),
    value: (unit * PAGE_KEYS + at) * size,
    scale: unit * PAGE_KEYS + at,
  };
}

/** Whether vectors of an i8 cache are rotated. */
export const rotates = ({ dtype, size }: CacheShape) => dtype === "i8" && size >= 16 && (size & (size - 1)) === 0;

/** x times the Hadamard matrix of its size in place, every sum rounded to its elements' type. */
export function rotate<T extends Float32Array | Float64Array>(x: T): T {
  for (let apart = 1; apart < x.length; apart *= 2) {
    for (let c = 0; c < x.length; c++) {
      if ((c & apart) !== 0) continue;
      const [a, b] = [x[c]!, x[c + apart]!];
      x[c] = a + b;
      x[c + apart] = a - b;
    }
  }
  return x;
}

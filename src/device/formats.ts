// The formats that tensors are stored in: one row each, and all that is said about them anywhere. The dtype of a tensor is the
// name of its format; sizes, transfers and weight files go by the row, and scripts/op-table.js makes native/core/formats.inc of
// it for native code. Which operands of which ops may have a format is the op table's (KINDS in graph/ops.ts).

export interface FormatRow {
  /** Number in the program stream: its place in the table. */
  readonly code: number;
  /**
   * What is stored as a whole: so many rows of so many columns in so many bytes. A tensor is a matrix of whole blocks, its last
   * dim the columns and all dims before it the rows.
   */
  readonly block: { readonly rows: number; readonly columns: number; readonly bytes: number };
  /** What the blocks of so many columns have in common beside them; the last may have fewer blocks. */
  readonly shared?: { readonly columns: number; readonly bytes: number };
  /** Of the offset of a tensor in its buffer, and of a buffer that is a part of a file; bytes. */
  readonly alignment: number;
  /** The arrays of the host that transfers copy from and to, by their tag: `instanceof` knows those of one realm. None: how blocks lie is the device's own. */
  readonly array?: string;
  /** Its name in safetensors files, where weights may have it. */
  readonly file?: string;
}

/** All but f32 and i32 are storage: activations are f32. */
export const FORMATS = {
  f32: { code: 0, block: { rows: 1, columns: 1, bytes: 4 }, alignment: 4, array: "Float32Array", file: "F32" },
  f16: { code: 1, block: { rows: 1, columns: 1, bytes: 2 }, alignment: 2, array: "Uint16Array", file: "F16" },
  bf16: { code: 2, block: { rows: 1, columns: 1, bytes: 2 }, alignment: 2, array: "Uint16Array", file: "BF16" },
  i32: { code: 3, block: { rows: 1, columns: 1, bytes: 4 }, alignment: 4, array: "Int32Array" },
  i8: { code: 4, block: { rows: 1, columns: 1, bytes: 1 }, alignment: 1, array: "Int8Array" },
  /** Codes of −128 … 127, and an f16 scale for every 32 of a row (docs/numerics.md). */
  q8: { code: 5, block: { rows: 16, columns: 32, bytes: 16 * 34 }, alignment: 64 },
  /** Codes of −32 … 31, and an f16 scale for every 32. */
  q6: { code: 6, block: { rows: 16, columns: 32, bytes: 16 * 26 }, alignment: 64 },
  /** Codes of 0 … 15, a scale and a minimum of six bits for every 32, and two f16 for every 256 that those are multiples of. */
  q4: {
    code: 7,
    block: { rows: 16, columns: 64, bytes: 16 * 35 },
    shared: { columns: 256, bytes: 16 * 4 },
    alignment: 64,
  },
} as const satisfies Readonly<Record<string, FormatRow>>;

export type DType = keyof typeof FORMATS;

/** The formats that weights can be packed to. */
export const PACKED = ["q8", "q6", "q4"] as const satisfies readonly DType[];

export type Packed = (typeof PACKED)[number];

/** The dtype of weights by its name in safetensors files. */
export const FILE_DTYPES: ReadonlyMap<string, DType> = new Map(
  (Object.entries(FORMATS) as [DType, FormatRow][]).flatMap(([dtype, { file }]) =>
    file === undefined ? [] : [[file, dtype]],
  ),
);

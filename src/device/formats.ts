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
  /** Of the offset of a tensor in its buffer, and of a buffer that is a part of a file; bytes. */
  readonly alignment: number;
  /** The arrays of the host that transfers copy from and to, by their tag: `instanceof` knows those of one realm. */
  readonly array: string;
  /** Its name in safetensors files, where weights may have it. */
  readonly file?: string;
}

/** bf16, f16 and i8 are storage: activations are f32. */
export const FORMATS = {
  f32: { code: 0, block: { rows: 1, columns: 1, bytes: 4 }, alignment: 4, array: "Float32Array", file: "F32" },
  f16: { code: 1, block: { rows: 1, columns: 1, bytes: 2 }, alignment: 2, array: "Uint16Array", file: "F16" },
  bf16: { code: 2, block: { rows: 1, columns: 1, bytes: 2 }, alignment: 2, array: "Uint16Array", file: "BF16" },
  i32: { code: 3, block: { rows: 1, columns: 1, bytes: 4 }, alignment: 4, array: "Int32Array" },
  i8: { code: 4, block: { rows: 1, columns: 1, bytes: 1 }, alignment: 1, array: "Int8Array" },
} as const satisfies Readonly<Record<string, FormatRow>>;

export type DType = keyof typeof FORMATS;

/** The dtype of weights by its name in safetensors files. */
export const FILE_DTYPES: ReadonlyMap<string, DType> = new Map(
  (Object.entries(FORMATS) as [DType, FormatRow][]).flatMap(([dtype, { file }]) =>
    file === undefined ? [] : [[file, dtype]],
  ),
);

// Writes safetensors files (safetensors.ts says how they lie), a tensor at a time.
import { type FileHandle, open } from "node:fs/promises";
import { writeFailure } from "../machine/write-failure.js";

export interface SavedTensor {
  readonly name: string;
  /** As the format spells it: "F32". */
  readonly dtype: "F32" | "BF16";
  readonly shape: readonly number[];
  /** Its elements, row by row; asked for when it is its turn. */
  readonly read: () => Promise<Float32Array>;
}

/** What loaders of Hugging Face ask for. */
const METADATA = { format: "pt" };
const BYTES = { F32: 4, BF16: 2 } as const;

/** Writes all of a file, to the disk. @throws {QuipuError} ERR_WRITE */
export async function writeSafetensors(path: string, tensors: readonly SavedTensor[]): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "w");
    await file.writeFile(headerOf(tensors));
    for (const { dtype, read } of tensors) {
      const values = await read();
      const elements = dtype === "F32" ? values : toBf16(values);
      await file.writeFile(Buffer.from(elements.buffer, elements.byteOffset, elements.byteLength));
    }
    await file.sync();
  } catch (cause) {
    throw cause instanceof Error && "syscall" in cause ? writeFailure(path, cause) : cause;
  } finally {
    await file?.close();
  }
}

function headerOf(tensors: readonly SavedTensor[]): Buffer {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape }): [string, unknown] => {
    const begin = end;
    end += shape.reduce((product, dim) => product * dim, BYTES[dtype]);
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const json = Buffer.from(JSON.stringify({ __metadata__: METADATA, ...Object.fromEntries(entries) }));
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  header.writeBigUInt64LE(BigInt(header.length - 8));
  header.set(json, 8);
  return header;
}

/** The nearest numbers of bf16, of two as near the even one; what is no number stays none. */
export function toBf16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(bits, (word) => {
    if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
    return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  });
}

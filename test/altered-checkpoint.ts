// Copies of a checkpoint in which one tensor is not what it was.
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Header {
  readonly [name: string]: { readonly dtype: string; readonly data_offsets: readonly [number, number] };
}

/**
 * Copies the checkpoint of `from` to `to`, with `alter` called on the elements of one tensor: f32 as such, bf16 and f16 as their bits.
 */
export function copyAltered(
  from: string,
  to: string,
  tensor: string,
  alter: (elements: Float32Array | Uint16Array) => void,
): void {
  cpSync(from, to, { recursive: true });
  const file = readdirSync(to).find((name) => name.endsWith(".safetensors") && headerOf(join(to, name))[tensor]);
  if (file === undefined) throw new Error(`${from} has no tensor ${tensor}`);
  const path = join(to, file);
  const bytes = readFileSync(path);
  const { dtype, data_offsets: range } = headerOf(path)[tensor]!;
  const start = 8 + Number(bytes.readBigUInt64LE());
  const stored = Uint8Array.from(bytes.subarray(start + range[0], start + range[1])); // aligned to its elements
  alter(dtype === "F32" ? new Float32Array(stored.buffer) : new Uint16Array(stored.buffer));
  bytes.set(stored, start + range[0]);
  writeFileSync(path, bytes);
}

function headerOf(path: string): Header {
  const bytes = readFileSync(path);
  return JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString("utf8"));
}

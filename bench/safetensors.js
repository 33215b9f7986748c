// Small checkpoints of one file, as f32 in memory: what measurements make of models.
import { readFileSync, writeFileSync } from "node:fs";

/** Numbers as f32 from a tensor's bytes, by its dtype. */
const WIDENED = {
  BF16: (bytes) => {
    const bits = Uint32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readUInt16LE(2 * i) << 16);
    return new Float32Array(bits.buffer);
  },
  F32: (bytes) => Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i)),
};

/**
 * The tensors of a safetensors file by name, { shape, values }, bf16 and f32 as f32.
 *
 * @throws {Error} for another dtype.
 */
export function readTensors(path) {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const { __metadata__, ...header } = JSON.parse(bytes.subarray(8, start).toString());
  return Object.fromEntries(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const widen = WIDENED[dtype];
        if (widen === undefined) throw new Error(`${path}: ${name}: expected BF16 or F32, got ${dtype}`);
        return [name, { shape, values: widen(bytes.subarray(start + from, start + to)) }];
      },
    ),
  );
}

/** Writes tensors, { shape, values } by name, as f32. */
export function writeTensors(path, tensors) {
  const [header, parts] = [{}, []];
  let offset = 0;
  for (const [name, { shape, values }] of Object.entries(tensors)) {
    header[name] = { dtype: "F32", shape, data_offsets: [offset, offset + values.byteLength] };
    parts.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
    offset += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc(-json.length & 7, 0x20)]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(path, Buffer.concat([length, padded, ...parts]));
}

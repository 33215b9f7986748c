// Contents for weights that are only measured: small numbers of both signs, which no kernel takes longer or shorter for, and
// every page of which is written, as pages that are only read are all one page of zeros.
import type { Device } from "../device/device.js";
import { FORMATS, type FormatRow, PACKED, type Packed } from "../device/formats.js";
import { bytesOf, type Tensor } from "../device/tensor.js";
import { quantize, slicesOf } from "./packed-weights.js";

/** Elements that are repeated: an odd number, so that rows differ. */
const PERIOD = 65_521;
/** Elements that are written at once. */
const PIECE = 2 ** 21;

/** Fills tensors of the formats of weights. @throws {QuipuError} ERR_ABORTED. */
export async function fill(device: Device, tensors: readonly Tensor[], signal?: AbortSignal): Promise<void> {
  /** Of bf16, by columns: what packed matrices are packed from. */
  const sources = new Map<string, Tensor>();
  try {
    for (const tensor of tensors) {
      if (isPacked(tensor)) await pack(device, tensor, sources, signal);
      else await write(device, tensor, signal);
    }
  } finally {
    for (const source of sources.values()) device.free(source);
  }
}

function isPacked(tensor: Tensor): tensor is Tensor & { readonly dtype: Packed } {
  return (PACKED as readonly string[]).includes(tensor.dtype);
}

async function pack(
  device: Device,
  tensor: Tensor & { readonly dtype: Packed },
  sources: Map<string, Tensor>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const columns = tensor.shape[1]!;
  for (const [first, rows] of slicesOf({ dtype: "bf16", shape: tensor.shape }, tensor.dtype)) {
    const key = `${rows} ${columns}`;
    let source = sources.get(key);
    if (source === undefined) {
      source = device.allocate("invented", "bf16", [rows, columns]);
      sources.set(key, source);
      await write(device, source, signal);
    }
    const offset = bytesOf(tensor.dtype, [first, columns]);
    await quantize(device, source, { ...tensor, offset, shape: [rows, columns] }, signal);
  }
}

async function write(device: Device, tensor: Tensor, signal: AbortSignal | undefined): Promise<void> {
  const elements = tensor.shape.reduce((product, dim) => product * dim, 1);
  const { array, block }: FormatRow = FORMATS[tensor.dtype];
  const numbers = contents(tensor.dtype, Math.min(elements, PIECE), array === "Float32Array");
  for (let first = 0; first < elements; first += PIECE) {
    const count = Math.min(PIECE, elements - first);
    const piece = { ...tensor, offset: first * block.bytes, shape: [count] };
    await device.run(null, { writes: [[piece, numbers.subarray(0, count)]], signal });
  }
}

/** From −1/64 to 1/64, as f32 or as the bits of f16 and bf16. */
function contents(dtype: Tensor["dtype"], count: number, isWhole: boolean): Float32Array | Uint16Array {
  const [least, signs] = dtype === "bf16" ? [0x3b80, 0x8000] : [0x1c00, 0x8000]; // 2⁻⁸ of each, and what lies above it
  const mantissas = dtype === "bf16" ? 0xff : 0x7ff;
  if (isWhole)
    return Float32Array.from({ length: count }, (_, i) => (((i % PERIOD) * 40_503) % 1009) / 32_288 - 1 / 64);
  return Uint16Array.from({ length: count }, (_, i) => {
    const mixed = ((i % PERIOD) * 40_503) % PERIOD;
    return (least + (mixed & mantissas)) | (mixed & 0x1000 ? signs : 0);
  });
}

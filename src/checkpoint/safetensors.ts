// The header of a safetensors file (https://github.com/huggingface/safetensors, "Format"): 8 bytes little-endian length,
// JSON {name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__"?: {string: string}}, then the data, which the ranges
// cover exactly: no gaps, no overlaps, nothing after the last. Reads the header alone; the data stays on disk.
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { QuipuError } from "../errors.js";
import { shownName } from "../warnings.js";
import { identityOf, openFile, readAt } from "./file.js";
import { isJsonObject, type JsonObject, parseJsonObject, shownJson } from "./json.js";
import { type CheckpointSource, readSource, type SourceFile } from "./source.js";
import { refuseWrongFile, WRONG_FILE_BYTES } from "./wrong-file.js";

/** Bits of an element, by dtype. Quipu computes with F32, F16 and BF16; the others are known so that files with them open. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
};

const CODE = "ERR_MODEL_INVALID";
/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;

export interface TensorInfo {
  readonly name: string;
  /** As the file spells it: "BF16". */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** From the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsFile {
  readonly path: string;
  readonly size: number;
  /** Tells it, with what is in it, from other files: what the system says of it, and a hash of its header. */
  readonly identity: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** `__metadata__`: what the file says of itself. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads and checks the header of one file.
 *
 * @throws {QuipuError} ERR_MODEL_INVALID naming the file, the tensor, what was expected and what is there.
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const opened = await openFile(path, CODE);
  if (opened === undefined) throw new QuipuError(CODE, `${basename(path)}: no such file. Is the download complete?`);
  const { file, size } = opened;
  try {
    const read = (first: number, last: number) => readAt(path, file, first, last - first, CODE);
    const { hash, ...header } = await readHeader(path, size, read);
    return { path, size, identity: `${identityOf(await file.stat({ bigint: true }))}:${hash}`, ...header };
  } finally {
    await file.close();
  }
}

/** {@link readSafetensors}, of a source. What tells the file from others is its header alone. */
export async function readSourceSafetensors(
  source: CheckpointSource,
  { name, bytes: size, problem }: SourceFile,
  signal?: AbortSignal,
): Promise<SafetensorsFile> {
  const path = join(source.where, name);
  if (problem !== undefined) throw new QuipuError(CODE, `${path}: ${problem}`);
  const read = async (first: number, last: number) => {
    const { buffer, byteOffset, byteLength } = await readSource(source, name, first, Math.min(last, size), signal);
    return Buffer.from(buffer, byteOffset, byteLength);
  };
  const { hash, ...header } = await readHeader(path, size, read);
  return { path, size, identity: hash, ...header };
}

/** `read` gives the bytes [first, last) of the file, fewer at its end. */
async function readHeader(
  path: string,
  size: number,
  read: (first: number, last: number) => Promise<Buffer>,
): Promise<Pick<SafetensorsFile, "tensors" | "metadata"> & { hash: string }> {
  const name = basename(path);
  const fail = (what: string): never => {
    throw new QuipuError(CODE, `${name}: ${what}`);
  };
  const start = await read(0, WRONG_FILE_BYTES);
  refuseWrongFile(start, path, CODE);
  if (start.length < 8) fail(`expected a safetensors file, got ${start.length} bytes. Is the download complete?`);
  const headerBytes = start.readBigUInt64LE();
  if (headerBytes > BigInt(size - 8)) {
    fail(
      `the header's length is ${headerBytes} bytes, the file has ${size}. Is the download complete, and is it a safetensors file?`,
    );
  }
  if (headerBytes > MAX_HEADER_BYTES)
    fail(`the header's length is ${headerBytes} bytes; the format allows ${MAX_HEADER_BYTES}`);
  if (headerBytes < 2) fail(`the header's length is ${headerBytes} bytes`);
  const length = Number(headerBytes);
  const text = await read(8, 8 + length);
  if (text.length < length) fail("ended early while its header was read");
  if (text[0] !== 0x7b) fail("the header does not begin with '{'. Is it a safetensors file?");
  const header = parseJsonObject(text, `${name}: header`, CODE);
  const hash = createHash("sha256").update(text).digest("hex");
  const { __metadata__: metadata = {}, ...tensors } = header;
  return {
    tensors: tensorsOf(tensors, 8 + length, size, name),
    metadata: metadataOf(metadata, name),
    hash,
  };
}

function tensorsOf(header: JsonObject, dataStart: number, fileSize: number, fileName: string): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of Object.entries(header)) {
    tensors.set(name, readTensor(name, entry, dataStart, fileSize - dataStart, fileName));
  }
  let end = dataStart;
  let previous = "the header";
  for (const tensor of [...tensors.values()].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes)) {
    if (tensor.offset !== end) {
      const what = tensor.offset < end ? "overlaps" : `leaves ${tensor.offset - end} unused bytes after`;
      throw new QuipuError(
        "ERR_MODEL_INVALID",
        `${shownName(tensor.name)} in ${fileName}: its data ${what} ${previous}`,
      );
    }
    end += tensor.bytes;
    previous = shownName(tensor.name);
  }
  if (end !== fileSize) {
    throw new QuipuError(
      "ERR_MODEL_INVALID",
      `${fileName}: the data of its tensors ends at byte ${end}, the file at ${fileSize}. Is the download complete?`,
    );
  }
  return tensors;
}

function readTensor(name: string, entry: unknown, dataStart: number, dataBytes: number, fileName: string): TensorInfo {
  const fail = (what: string): never => {
    throw new QuipuError("ERR_MODEL_INVALID", `${shownName(name)} in ${fileName}: ${what}`);
  };
  if (!isJsonObject(entry)) return fail(`expected {dtype, shape, data_offsets}, got ${shownJson(entry)}`);
  const { dtype, shape, data_offsets: range } = entry;
  const bits = typeof dtype === "string" && Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
  if (typeof dtype !== "string" || bits === undefined) return fail(`unknown dtype ${shownJson(dtype)}`);
  if (!isSizes(shape)) return fail(`expected a shape of whole numbers, got ${shownJson(shape)}`);
  if (!isSizes(range) || range.length !== 2) return fail(`expected data_offsets [begin, end], got ${shownJson(range)}`);
  const [begin, end] = range as readonly [number, number];
  if (begin > end || end > dataBytes)
    return fail(
      `its data_offsets [${begin}, ${end}] do not lie in the file's ${dataBytes} bytes of data. Is the download complete?`,
    );
  const totalBits = shape.reduce((product, dim) => product * BigInt(dim), BigInt(bits));
  if (totalBits !== BigInt(end - begin) * 8n) {
    return fail(`${dtype} [${shape.join(", ")}] is ${totalBits / 8n} bytes, its data_offsets span ${end - begin}`);
  }
  return { name, dtype, shape, offset: dataStart + begin, bytes: end - begin };
}

function metadataOf(entry: unknown, fileName: string): Map<string, string> {
  if (isJsonObject(entry) && Object.values(entry).every((value) => typeof value === "string")) {
    return new Map(Object.entries(entry) as [string, string][]);
  }
  throw new QuipuError(
    "ERR_MODEL_INVALID",
    `${fileName}: __metadata__: expected texts by name, got ${shownJson(entry)}`,
  );
}

function isSizes(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length <= 32 &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0 && !Object.is(size, -0))
  );
}

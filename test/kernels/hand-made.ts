// Programs of one op that are made by hand, as a recorder would refuse to record most of them: operands by the op's signature
// (src/graph/signatures.ts), what a test makes of them, and the stream of it all.
import type { NativeBuffer, NativeProgram } from "#quipu/addon/addon-types.js";
import type { Device, Transfer } from "#quipu/device/device.js";
import { type DType, FORMATS } from "#quipu/device/formats.js";
import { bytesOf } from "#quipu/device/tensor.js";
import { OPS, type OpName, opRow } from "#quipu/graph/ops.js";
import type { RowCounts } from "#quipu/graph/recording.js";
import { product, signatureOf } from "#quipu/graph/signatures.js";

/** A buffer, as far as a check may know it. */
export interface Memory {
  readonly buffer: NativeBuffer;
  readonly bytes: number;
  /** 0: its contents are no index. */
  readonly bound: number;
  readonly writable: boolean;
  /** What a run writes there first: where tests put operands, the greatest index that is allowed, so that addresses go to the end. */
  readonly contents?: readonly Transfer[];
}

export interface Operand {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly place: Memory | "arena";
  /** Bytes from the beginning of its place. */
  readonly offset: number;
  /** The stream's word for what its first dim is: 1 the rows of a run, 2 the wanted ones, 0 neither. */
  readonly leading: number;
}

/** What the program is made for, beside its operands. */
export interface Frame {
  /** Words; default: one of zeros for each attribute. */
  readonly attributes?: readonly number[];
  /** Default: as far as operands reach. */
  readonly arenaBytes?: number;
  /** Default: none, for operands of which no dim is a run's. */
  readonly capacity?: RowCounts;
}

/** An op without, and one with its optional operands. */
export interface Form {
  readonly op: OpName;
  readonly optional: boolean;
}

export const FORMS: readonly Form[] = (Object.keys(OPS) as OpName[]).flatMap((op) =>
  (opRow(op).optional === undefined ? [false] : [false, true]).map((optional) => ({ op, optional })),
);

/** A number for every letter of the table. */
export const LETTERS: Readonly<Record<string, number>> = {
  ...{ T: 4, R: 2, D: 32, N: 5, K: 16, F: 24, half: 8, n: 2, pages: 6, G: 2, d: 16, S: 3, B: 2 },
  ...{ C: 7, V: 11, E: 20, W: 32, biases: 2, best: 3, stopIds: 2 },
};

/** Dtypes that an honest operand may have, the first of them where nothing else is asked for. */
export function dtypesOf(form: Form, place: number): readonly DType[] {
  const { operands, when } = signatureOf(form.op);
  const { like, dtypes } = operands[place]!;
  if (like >= 0) return dtypesOf(form, like);
  if (when?.operand !== place) return dtypes;
  return form.optional ? [when.dtype] : dtypes.filter((dtype) => dtype !== when.dtype);
}

const INDEX_WORDS = 1024;

export function memory(device: Device, bytes: number, bound = 0): Memory {
  const tensor = device.allocate("memory", "i8", [bytes], bound);
  const words = bound > 0 ? Math.min(INDEX_WORDS, Math.floor(bytes / 4)) : 0;
  const greatest = new Int32Array(words).fill(bound - 1);
  const part = (offset: number): Transfer => [{ ...tensor, dtype: "i32", shape: [words], offset }, greatest];
  const contents = words > 0 ? [part(0), part(Math.floor(bytes / 4 - words) * 4)] : [];
  return { buffer: tensor.buffer, bytes, bound, writable: true, contents };
}

/** The honest operands of an op in the order of the stream, each in a buffer of its own that has room to grow. */
export function honest(device: Device, form: Form, letters: Readonly<Record<string, number>> = {}): Operand[] {
  const { operands, required, letters: rows } = signatureOf(form.op);
  const numbers = rows.map(({ name }) => letters[name] ?? LETTERS[name]!);
  return operands.slice(0, form.optional ? operands.length : required).map(({ name, dims, index, bound }, i) => {
    const dtype = dtypesOf(form, i)[0]!;
    const shape = dims.map((dim) => product(dim, numbers));
    const declared = !index ? 0 : bound === undefined ? 9 : product(bound, numbers);
    return {
      name,
      dtype,
      shape,
      place: memory(device, 2 * bytesOf("f32", shape) + 4096, declared),
      offset: 0,
      leading: 0,
    };
  });
}

/** The operands with one of them changed. */
export function changed(operands: readonly Operand[], i: number, changes: Partial<Operand>): Operand[] {
  return operands.map((operand, k) => (k === i ? { ...operand, ...changes } : operand));
}

/** The capacity of programs of {@link inRows}. */
export const CAPACITY: RowCounts = { rows: LETTERS.T!, wanted: LETTERS.R! };

/** The operands with their rows of the step and those that are wanted as what a run has its own number of. */
export function inRows(op: OpName, operands: readonly Operand[]): Operand[] {
  return operands.map((operand, i) => {
    const [first] = signatureOf(op).operands[i]!.dims;
    return { ...operand, leading: first!.text === "T" ? 1 : first!.text === "R" ? 2 : 0 };
  });
}

/** All operands but those of an index in the arena, one after another. */
export function inArena(op: OpName, operands: readonly Operand[]): Operand[] {
  let end = 0;
  return operands.map((operand, i) => {
    if (signatureOf(op).operands[i]!.index) return operand;
    const offset = end;
    end += Math.ceil((bytesOf(operand.dtype, operand.shape) + 1) / 64) * 64;
    return { ...operand, place: "arena" as const, offset };
  });
}

/** A stream has words for numbers below 2^64: half of that leaves room for tests that ask for a little more. */
const MOST_BYTES = 2 ** 63;

/** What an arena must have for them; no more than a stream can say, which is too little then. */
export function arenaBytesOf(operands: readonly Operand[]): number {
  const ends = operands.map(({ place, dtype, shape, offset }) =>
    place === "arena" ? offset + bytesOf(dtype, shape) : 0,
  );
  return Math.min(Math.max(0, ...ends), MOST_BYTES);
}

export const attributesOf = (op: OpName) => Object.keys(opRow(op).attributes ?? {}).map(() => 0);

/** Attributes that an op can run with, as words: a 1 of its type. */
export const onesOf = (op: OpName) =>
  Object.values(opRow(op).attributes ?? {}).map((type) => (type === "f32" ? 0x3f800000 : 1));

/** The stream of the program that has this op alone, and its buffers. */
export function encodeOp(
  op: OpName,
  operands: readonly Operand[],
  {
    attributes = attributesOf(op),
    arenaBytes = arenaBytesOf(operands),
    capacity: { rows, wanted } = { rows: 0, wanted: 0 },
  }: Frame = {},
): { stream: Uint32Array; buffers: NativeBuffer[] } {
  const buffers: NativeBuffer[] = [];
  const wide = (bytes: number) => [bytes % 2 ** 32, Math.floor(bytes / 2 ** 32)];
  const tensors = operands.flatMap(({ dtype, shape, place, offset, leading }) => {
    let buffer = 0xffffffff;
    if (place !== "arena") {
      buffer = buffers.indexOf(place.buffer);
      if (buffer < 0) buffer = buffers.push(place.buffer) - 1;
    }
    return [buffer, ...wide(offset), FORMATS[dtype].code, shape.length, leading, ...[...shape, 1, 1, 1, 1].slice(0, 4)];
  });
  const words = [0x51554950, 2, ...wide(arenaBytes), rows, wanted, operands.length, 1, ...tensors];
  words.push(opRow(op).code, operands.length, attributes.length, ...operands.keys(), ...attributes);
  return { stream: Uint32Array.from(words), buffers };
}

export function load(device: Device, op: OpName, operands: readonly Operand[], frame?: Frame): NativeProgram {
  const { stream, buffers } = encodeOp(op, operands, frame);
  return device.load(stream, buffers);
}

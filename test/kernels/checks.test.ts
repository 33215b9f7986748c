// Programs that lie about one thing, op by op, by the rows of src/graph/ops.ts: the check in native/core/op_table.cc must
// refuse each. The streams are made by hand, as a recorder would refuse to record most of them.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NativeBuffer } from "#quipu/addon/addon-types.js";
import { openDevice } from "#quipu/device/device.js";
import { bytesOf, DTYPE_BYTES, DTYPE_CODES, type DType } from "#quipu/device/tensor.js";
import { OPS, type OperandKind, type OpName, opRow } from "#quipu/graph/ops.js";

const device = openDevice({ threads: 2 });
const folder = mkdtempSync(join(tmpdir(), "quipu-checks-"));
afterAll(async () => {
  await device.dispose();
  rmSync(folder, { recursive: true });
});

type Dims = Readonly<Record<string, number>>;

/** Letters of the rows as numbers: D = G d for keys, a multiple of 2 half for rope. */
const DIMS: Dims = {
  ...{ T: 4, R: 2, D: 32, N: 5, K: 16, half: 8, pages: 6, G: 2, d: 16, S: 3, B: 2 },
  ...{ C: 7, V: 11, biases: 2, best: 3, stopIds: 2 },
};

/** The greatest bound that an index operand may have; none where any is right. */
const BOUNDS: Partial<Record<OpName, Record<string, (dims: Dims) => number>>> = {
  appendKv: { slots: ({ S }) => S!, positions: ({ B }) => 64 * B!, pageTable: ({ pages }) => pages! },
  attention: { slots: ({ S }) => S!, positions: ({ B }) => 64 * B!, pageTable: ({ pages }) => pages! },
  sample: {
    outputRows: ({ T }) => T!,
    slots: ({ S }) => S!,
    positions: ({ C }) => C!,
    history: ({ V }) => V!,
    biasIds: ({ V }) => V!,
  },
  advance: { outputRows: ({ T }) => T!, slots: ({ S }) => S!, positions: ({ C }) => C! },
};

interface Operand {
  readonly name: string;
  readonly pattern: string;
  readonly kind: OperandKind;
  readonly written: boolean;
  dtype: DType;
  shape: number[];
  bound: number;
  /** Where it lies: a buffer of its own unless given, or the arena. */
  buffer?: NativeBuffer | "arena";
  offset: number;
}

const ROOM = 64;

/** The honest operands of an op in the order of the stream; `scaled` with the optional ones. */
function operandsOf(op: OpName, { scaled = false, dims = DIMS } = {}): Operand[] {
  const row = opRow(op);
  const operand = ([name, [pattern, kind]]: [string, readonly [string, OperandKind]], result = false): Operand => ({
    name,
    pattern,
    kind,
    written: result || (row.updates ?? []).includes(name),
    dtype: dtypesOf(kind, scaled)[0]!,
    shape: pattern.split(" ").map((letter) => dims[letter] ?? Number(letter)),
    bound: kind === "index" ? (BOUNDS[op]?.[name]?.(dims) ?? 9) : 0,
    offset: 0,
  });
  return [
    ...Object.entries(row.operands).map((entry) => operand(entry)),
    ...Object.entries(row.results).map((entry) => operand(entry, true)),
    ...(scaled ? Object.entries(row.optional ?? {}).map((entry) => operand(entry)) : []),
  ];
}

function dtypesOf(kind: OperandKind, scaled = false): DType[] {
  switch (kind) {
    case "weight":
      return ["bf16", "f16", "f32"];
    case "cache":
      return scaled ? ["i8"] : ["f32", "f16"];
    case "index":
      return ["i32"];
    default:
      return [kind];
  }
}

/** A buffer that holds the operand, with room to grow. */
function bufferOf({ dtype, shape, bound }: Operand): NativeBuffer {
  const elements = shape.map((dim) => dim + 1).reduce((a, b) => a * b, 1) + ROOM;
  return device.allocate("operand", dtype, [elements], bound).buffer;
}

function load(op: OpName, operands: readonly Operand[], attributes = attributesOf(op)) {
  const buffers: NativeBuffer[] = [];
  let arena = 0;
  const tensors = operands.flatMap((operand) => {
    const { dtype, shape, buffer = bufferOf(operand) } = operand;
    let [index, offset] = [0xffffffff, operand.offset];
    if (buffer === "arena") {
      offset += arena;
      arena += Math.ceil((bytesOf(dtype, shape) + ROOM) / 64) * 64;
    } else if (buffers.includes(buffer)) index = buffers.indexOf(buffer);
    else index = buffers.push(buffer) - 1;
    return [
      index,
      offset,
      0,
      DTYPE_CODES[dtype],
      shape.length,
      ...[...shape, 1, 1, 1, 1].slice(0, Math.max(4, shape.length)),
    ];
  });
  const words = [0x51554950, 1, arena, 0, operands.length, 1, ...tensors];
  words.push(opRow(op).code, operands.length, attributes.length, ...operands.keys(), ...attributes);
  return device.load(Uint32Array.from(words), buffers);
}

const attributesOf = (op: OpName) => Object.keys(opRow(op).attributes ?? {}).map(() => 0);

function expectRefused(op: OpName, operands: readonly Operand[], why: RegExp, attributes = attributesOf(op)) {
  const message = expect.stringMatching(new RegExp(`op 0 \\(${op}\\): .*${why.source}`));
  expect(() => load(op, operands, attributes)).toThrow(expect.objectContaining({ code: "ERR_INTERNAL", message }));
}

/** The op with one operand changed. */
const changed = (operands: readonly Operand[], index: number, changes: Partial<Operand>) =>
  operands.map((operand, i) => (i === index ? { ...operand, ...changes } : operand));

const FORMS = (Object.keys(OPS) as OpName[]).flatMap((op) =>
  opRow(op).optional === undefined
    ? [[op, { scaled: false }] as const]
    : [false, true].map((scaled) => [op, { scaled }] as const),
);

describe.each(FORMS)("%s %j", (op, form) => {
  const operands = operandsOf(op, form);

  test("is honest", () => {
    load(op, operands);
    // Values of the op may lie in the arena, all but index operands and state.
    const values = operands.map((operand): Operand => {
      return operand.kind === "index" || (opRow(op).updates ?? []).includes(operand.name)
        ? operand
        : { ...operand, buffer: "arena" };
    });
    load(op, values);
  });

  test("without rows", () => {
    load(op, operandsOf(op, { ...form, dims: { ...DIMS, R: 0 } }));
    const dims = { ...DIMS, T: 0, R: 0 };
    const bounded = BOUNDS[op]?.outputRows !== undefined; // no row can be wanted of none
    if (bounded) expectRefused(op, operandsOf(op, { ...form, dims }), /no declared bound/);
    else load(op, operandsOf(op, { ...form, dims }));
  });

  test.each(operands.map((operand, i) => [operand.name, i] as const))("%s: dtype", (_, i) => {
    const { kind } = operands[i]!;
    for (const dtype of Object.keys(DTYPE_CODES) as DType[]) {
      const wrong = changed(operands, i, { dtype });
      // Keys and values have one dtype, so that one of them alone may not change.
      const right = kind === "cache" ? dtype === operands[i]!.dtype : dtypesOf(kind).includes(dtype);
      if (right) load(op, wrong);
      else expectRefused(op, wrong, /dtype/);
    }
  });

  test.each(operands.map((operand, i) => [operand.name, i] as const))("%s: shape", (_, i) => {
    const { pattern, shape } = operands[i]!;
    expectRefused(op, changed(operands, i, { shape: [...shape, 1].slice(-4) }), /(shape|rank|features)/);
    const letters = operands.flatMap((operand) => operand.pattern.split(" "));
    pattern.split(" ").forEach((letter, d) => {
      const grown = changed(operands, i, { shape: shape.with(d, shape[d]! + 1) });
      const free = letters.filter((other) => other === letter).length === 1 && Number.isNaN(Number(letter));
      if (free && !(op === "rope" && letter === "half")) load(op, grown);
      else expectRefused(op, grown, /(shape|multiple|bound|k best)/);
    });
  });

  test("bounds of index operands", () => {
    operands.forEach((operand, i) => {
      if (operand.kind !== "index") return;
      expectRefused(op, changed(operands, i, { bound: 0 }), /no declared bound/);
      expectRefused(op, changed(operands, i, { buffer: "arena" }), /must be a declared index buffer/);
      const greater = changed(operands, i, { bound: operand.bound + 1 });
      if (BOUNDS[op]?.[operand.name] === undefined) load(op, greater);
      else expectRefused(op, greater, /bound beyond what it indexes/);
    });
  });

  test("what is written shares no byte with anything else, but where an op works in place", () => {
    operands.forEach((written, w) => {
      if (!written.written) return;
      operands.forEach((other, o) => {
        if (o === w) return;
        const buffer = device.allocate("shared", "f32", [1 << 16], Math.max(written.bound, other.bound)).buffer;
        const bound = { buffer, bound: 0 };
        const same = changed(changed(operands, o, bound), w, bound);
        const isFirstResult = Object.keys(opRow(op).results)[0] === written.name;
        if (isFirstResult && (opRow(op).inPlace ?? []).includes(other.name)) load(op, same);
        else expectRefused(op, same, /(overlap|bound|index)/);
        expectRefused(op, changed(same, w, { ...bound, offset: 4 }), /(overlap|bound|index)/);
        if (written.bound + other.bound > 0) return;
        // Side by side is fine, one byte of overlap at the other end is not.
        const end = Math.ceil(bytesOf(other.dtype, other.shape) / 4) * 4;
        load(op, changed(same, w, { ...bound, offset: end }));
        const width = DTYPE_BYTES[written.dtype];
        if (end === bytesOf(other.dtype, other.shape))
          expectRefused(op, changed(same, w, { ...bound, offset: end - width }), /overlap/);
      });
    });
  });

  test("what is written is neither read-only nor an index buffer, whose promise it would break", async () => {
    const path = join(folder, "weights");
    writeFileSync(path, new Uint8Array(1 << 18));
    const file = await device.open(path, 1 << 18, { mmap: true });
    operands.forEach((operand, i) => {
      if (!operand.written) return;
      const { buffer } = device.view(file, "weights", 0, "i8", [1 << 18]);
      expectRefused(op, changed(operands, i, { buffer }), operand.kind === "index" ? /no declared bound/ : /read-only/);
      if (operand.kind !== "index") expectRefused(op, changed(operands, i, { bound: 5 }), /index buffer/);
    });
    file.dispose();
  });

  test("count of operands and attributes", () => {
    expectRefused(op, operands.slice(0, -1), /wrong count/);
    expectRefused(op, [...operands, operands[0]!], /wrong count/);
    expectRefused(op, operands, /wrong count/, [...attributesOf(op), 0]);
    if (attributesOf(op).length > 0) expectRefused(op, operands, /wrong count/, attributesOf(op).slice(1));
  });
});

test.each<[string, OpName, Dims, RegExp]>([
  ["rows without features", "rmsNorm", { D: 0 }, /rows are empty/],
  ["rows without features", "matmul", { K: 0 }, /rows are empty/],
  ["heads of size 0", "rope", { half: 0 }, /no multiple/],
  ["no key/value heads", "attention", { G: 0 }, /cache is empty/],
  ["heads of size 0", "attention", { d: 0 }, /cache is empty/],
  ["no queries", "attention", { D: 0 }, /no multiple/],
  ["heads that do not divide", "attention", { D: 48 }, /no multiple/],
  ["no key/value heads", "appendKv", { G: 0, D: 0 }, /cache is empty/],
  ["heads of size 0", "appendKv", { d: 0, D: 0 }, /cache is empty/],
  ["no pages", "attention", { pages: 0 }, /no declared bound/],
  ["no vocabulary", "sample", { V: 0, best: 0 }, /k best/],
  ["no best", "sample", { best: 0 }, /k best/],
  ["more best than ids", "sample", { best: 12 }, /k best/],
])("%s: %s %j", (_, op, dims, why) => {
  expectRefused(op, operandsOf(op, { dims: { ...DIMS, ...dims } }), why);
});

test("rope turns there or back", () => {
  load("rope", operandsOf("rope"), [1]);
  expectRefused("rope", operandsOf("rope"), /inverse/, [2]);
});

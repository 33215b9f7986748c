// Programs that lie about one thing, op by op, by the op table: the check in native/core/op_table.cc must refuse each, and say
// what is wrong.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDevice } from "#quipu/device/device.js";
import { type DType, FORMATS } from "#quipu/device/formats.js";
import { bytesOf } from "#quipu/device/tensor.js";
import type { OpName } from "#quipu/graph/ops.js";
import { signatureOf } from "#quipu/graph/signatures.js";
import {
  attributesOf,
  CAPACITY,
  changed,
  encodeOp,
  FORMS,
  type Frame,
  honest,
  inArena,
  inRows,
  load,
  type Memory,
  memory,
  type Operand,
} from "./hand-made.js";
import { isSound } from "./soundness.js";

const device = openDevice({ threads: 2 });
const folder = mkdtempSync(join(tmpdir(), "quipu-checks-"));
afterAll(async () => {
  await device.dispose();
  rmSync(folder, { recursive: true });
});

const MOST_OPERANDS = Math.max(...FORMS.map(({ op }) => signatureOf(op).operands.length));

function expectRefused(
  op: OpName,
  operands: readonly Operand[],
  why: RegExp,
  { attributes = attributesOf(op), ...frame }: Frame = {},
) {
  const message = expect.stringMatching(new RegExp(`op 0 \\(${op}\\): .*${why.source}`));
  expect(isSound(op, operands, attributes.length, 0, frame.capacity)).toBe(false);
  expect(() => load(device, op, operands, { attributes, ...frame })).toThrow(
    expect.objectContaining({ code: "ERR_INTERNAL", message }),
  );
}

/** Loads what the table allows, and expects that anything else is refused. */
function expectJudged(op: OpName, operands: readonly Operand[], why: RegExp, frame: Frame = {}): void {
  if (isSound(op, operands, attributesOf(op).length, 0, frame.capacity)) load(device, op, operands, frame);
  else expectRefused(op, operands, why, frame);
}

describe.each(FORMS)("%j", (form) => {
  const { op } = form;
  const rows = signatureOf(op).operands;
  const operands = honest(device, form);
  const each = operands.map((operand, i) => [operand.name, i] as const);
  const isWritten = (i: number) => rows[i]!.role !== "read";

  test("is honest", () => {
    load(device, op, operands);
    load(device, op, inArena(op, operands));
  });

  test("without rows", () => {
    load(device, op, honest(device, form, { R: 0 }));
    const bounded = rows.some(({ bound }) => bound?.text === "T"); // no row can be wanted of none
    const none = honest(device, form, { T: 0, R: 0 });
    if (bounded) expectRefused(op, none, /no declared bound/);
    else load(device, op, none);
  });

  test("with rows of a run: any number up to the capacity", async () => {
    const program = load(device, op, inRows(op, operands), { capacity: CAPACITY });
    const writes = operands.flatMap(({ place }) => (place as Memory).contents ?? []);
    const { rows, wanted } = CAPACITY;
    for (let count = 0; count <= rows; count++) {
      const run = device.run(program, { writes, rows: count, wanted: Math.min(count, wanted) });
      // Contents are the greatest that are allowed, and settings and logits are zeros: what ops make of them is not asked.
      await run.catch((error: unknown) => expect(error).toMatchObject({ code: "ERR_INTERNAL", message: /index/ }));
    }
    await expect(device.run(program, { rows: rows + 1, wanted })).rejects.toThrow(
      `a run of ${rows + 1} rows, ${wanted} of them wanted: the program is made for ${rows} rows, ${wanted} of them wanted`,
    );
    await expect(device.run(program, { rows, wanted: wanted + 1 })).rejects.toThrow(/a run of 4 rows, 3 of them/);
    program.dispose();
  });

  test.each(each)("%s: rows", (_, i) => {
    const capacity = CAPACITY;
    const marked = inRows(op, operands);
    for (const honest of [operands, marked]) {
      for (const leading of [0, 1, 2, 3]) {
        for (const dim of [operands[i]!.shape[0]!, capacity.rows, capacity.wanted]) {
          const lying = changed(honest, i, { leading, shape: operands[i]!.shape.with(0, dim) });
          const wrong = leading === 3 || (leading > 0 && dim !== [0, capacity.rows, capacity.wanted][leading]);
          const why = wrong ? /^malformed/ : /(wrong shape|has rows where|has other rows|bound beyond|out of range)/;
          if (!wrong) expectJudged(op, lying, why, { capacity });
          else expect(() => load(device, op, lying, { capacity })).toThrow(/^malformed program: tensor \d+/);
        }
      }
    }
  });

  test.each(each)("%s: rows of a run where there are none", (_, i) => {
    const [most] = operands[i]!.shape as [number];
    for (const leading of [1, 2]) {
      const capacity = { rows: most, wanted: most };
      expectJudged(op, changed(operands, i, { leading }), /(has rows where|has other rows)/, { capacity });
    }
  });

  test.each(each)("%s: dtype", (_, i) => {
    for (const dtype of Object.keys(FORMATS) as DType[]) {
      expectJudged(op, changed(operands, i, { dtype }), /(wrong dtype|wrong count of operands)/);
    }
  });

  test.each(each)("%s: shape", (_, i) => {
    const { shape } = operands[i]!;
    expectRefused(op, changed(operands, i, { shape: shape.slice(1) }), /wrong rank/);
    if (shape.length < 4) expectRefused(op, changed(operands, i, { shape: [...shape, 1] }), /wrong rank/);
    shape.forEach((dim, d) => {
      for (const other of [dim + 1, dim - 1, 2 * dim]) {
        const why = /(wrong shape|bound beyond what it indexes|out of range)/;
        expectJudged(op, changed(operands, i, { shape: shape.with(d, other) }), why);
      }
    });
  });

  test("bounds of indexes", () => {
    rows.slice(0, operands.length).forEach((row, i) => {
      if (!row.index) return;
      const place = operands[i]!.place as Memory;
      const bounded = (bound: number) => changed(operands, i, { place: memory(device, place.bytes, bound) });
      expectRefused(op, bounded(0), /no declared bound/);
      expectRefused(op, changed(operands, i, { place: "arena" }), /must be a declared index buffer/);
      load(device, op, bounded(place.bound - 1 || 1));
      if (row.bound === undefined) load(device, op, bounded(place.bound + 1));
      else expectRefused(op, bounded(place.bound + 1), /bound beyond what it indexes/);
    });
  });

  test.each(each.filter(([, i]) => isWritten(i)))(
    "%s shares no byte with others, but where it may be in place",
    (_, w) => {
      const written = operands[w]!;
      operands.forEach((other, o) => {
        if (o === w) return;
        const bound = Math.max((written.place as Memory).bound, (other.place as Memory).bound);
        const place = memory(device, 1 << 18, bound);
        const together = changed(changed(operands, o, { place }), w, { place });
        const why = /(overlaps|bound|index)/;
        if (rows[w]!.inPlace.includes(o)) load(device, op, together);
        else expectRefused(op, together, why);
        const width = FORMATS[written.dtype].alignment; // a plain format's is its element
        const apart = changed(together, w, { offset: Math.max(width, 4) });
        if (bytesOf(other.dtype, other.shape) > 4 || bound > 0) expectRefused(op, apart, why);
        else load(device, op, apart); // it is one element
        if (bound > 0) return;
        // Side by side is fine, an element of overlap at the other end is not.
        const end = bytesOf(other.dtype, other.shape);
        load(device, op, changed(together, w, { offset: Math.ceil(end / width) * width }));
        expectRefused(op, changed(together, w, { offset: Math.ceil(end / width) * width - width }), /overlaps/);
        const behind = bytesOf(written.dtype, written.shape);
        load(device, op, changed(together, o, { offset: behind }));
        expectRefused(op, changed(together, o, { offset: behind - FORMATS[other.dtype].alignment }), /overlaps/);
      });
    },
  );

  test.each(each.filter(([, i]) => isWritten(i)))(
    "%s is neither read-only nor an index buffer, whose promise it would break",
    async (_, i) => {
      const path = join(folder, "weights");
      const bytes = 1 << 18;
      writeFileSync(path, new Uint8Array(bytes));
      const file = await device.open(path, bytes, { mmap: true });
      const [{ buffer }] = device.place("weights", { file, offset: 0, dtype: "i8", shape: [bytes] }, ["vector"]);
      const readOnly = changed(operands, i, { place: { buffer, bytes, bound: 0, writable: false } });
      expectRefused(op, readOnly, rows[i]!.index ? /no declared bound/ : /read-only/);
      const index = changed(operands, i, { place: memory(device, bytes, 5) });
      if (!rows[i]!.index) expectRefused(op, index, /promise of an index buffer/);
      file.dispose();
    },
  );

  test("count of operands and attributes", () => {
    expectRefused(op, operands.slice(0, -1), /wrong count of operands/);
    const more = [...operands, operands[0]!];
    if (more.length <= MOST_OPERANDS) expectRefused(op, more, /wrong count of operands/);
    else expect(() => load(device, op, more)).toThrow(/malformed program: op 0$/); // no op has as many
    expectRefused(op, operands, /wrong count of attributes/, { attributes: [...attributesOf(op), 0] });
    if (attributesOf(op).length > 0) expectRefused(op, operands, /wrong count of attributes/, { attributes: [] });
    if (form.optional) expectRefused(op, operands.slice(0, signatureOf(op).required), /wrong count of operands/);
  });
});

test.each<[string, OpName, Record<string, number>, RegExp]>([
  ["rows without features", "rmsNorm", { D: 0 }, /D is out of range: 0/],
  ["rows without features", "matmul", { K: 0 }, /K is out of range: 0/],
  ["heads of size 0", "rope", { half: 0 }, /x has the wrong shape/],
  ["no key/value heads", "attention", { G: 0 }, /q has the wrong shape/],
  ["heads of size 0", "attention", { d: 0 }, /q has the wrong shape/],
  ["no queries", "attention", { n: 0 }, /n is out of range: 0/],
  ["no key/value heads", "appendKv", { G: 0 }, /G is out of range: 0/],
  ["heads of size 0", "appendKv", { d: 0 }, /d is out of range: 0/],
  ["no pages", "attention", { pages: 0 }, /no declared bound/],
  ["no vocabulary", "sample", { V: 0, best: 0 }, /best is out of range: 0/],
  ["no best", "sample", { best: 0 }, /best is out of range: 0/],
  ["more best than ids", "sample", { best: 12 }, /best is out of range: 12/],
])("%s: %s %j", (_, op, letters, why) => {
  expectRefused(op, honest(device, { op, optional: false }, letters), why);
});

test("heads that do not divide", () => {
  const [q, ...rest] = honest(device, { op: "attention", optional: false });
  const out = rest.findIndex(({ name }) => name === "out");
  const shape = [4, 48];
  expectRefused(
    "attention",
    [{ ...q!, shape }, ...changed(rest, out, { shape })],
    /operand q has the wrong shape: 48 in dim 1/,
  );
});

test("operands that are no tensor of the program", () => {
  const { stream, buffers } = encodeOp("add", honest(device, { op: "add", optional: false }));
  const first = 8 + 3 * 10 + 3; // behind three tensors, and the op's code and counts
  for (const i of [0, 1, 2]) {
    expect(stream[first + i]).toBe(i);
    for (const tensor of [3, 4, 2 ** 31, 2 ** 32 - 1]) {
      expect(() => device.load(stream.with(first + i, tensor), buffers)).toThrow(
        /^malformed program: op 0 names no tensor$/,
      );
    }
  }
});

test("a buffer that a program lists twice is one buffer", () => {
  const place = memory(device, 1 << 16);
  const [x, weight, out] = honest(device, { op: "rmsNorm", optional: false });
  const { stream, buffers } = encodeOp("rmsNorm", [{ ...x!, place }, weight!, { ...out!, place, offset: 4 }]);
  const outBuffer = 8 + 2 * 10; // the first word of the third tensor
  stream[outBuffer] = buffers.push(place.buffer) - 1;
  expect(() => device.load(stream, buffers)).toThrow(/operand out overlaps x/);
});

// Weights of a file as devices keep them: a GPU has bf16 as f16 with a power of two a row (native/cuda/kernels/scaled_half.h), and they have to count as
// what they are in the file.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDevice } from "#quipu/device/device.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { describeWhere } from "../where.js";
import { f32, randomNumbers, stored, widen } from "./contents.js";
import { isCuda, OTHER_DEVICES, ownRoundings } from "./run-op.js";

const folder = temporaryFolder();
const next = randomNumbers(1);
const TOKENS = 3;
/** Rows by what is special about them: the exponents that their elements are drawn from, and elements that they have besides. */
const ROWS: readonly {
  readonly what: string;
  readonly exponents: readonly [number, number];
  readonly extra?: number;
}[] = [
  { what: "as a checkpoint's", exponents: [-8, -4] },
  { what: "large", exponents: [100, 126] },
  { what: "of any size", exponents: [-126, 126] },
  { what: "small", exponents: [-126, -100] },
  { what: "tiny", exponents: [-126, -115] },
  { what: "zeros", exponents: [-1000, -1000] },
  { what: "with a NaN", exponents: [-8, -4], extra: Number.NaN },
  { what: "with an infinity", exponents: [-8, -4], extra: Number.POSITIVE_INFINITY },
  { what: "with one element that is large", exponents: [-12, -8], extra: 2 ** 14 },
];
const rowOf = ({ exponents: [least, most], extra }: (typeof ROWS)[number], width: number) =>
  Array.from({ length: width }, (_, k) =>
    k === 5 && extra !== undefined ? extra : next() * 2 ** (least + ((k * 7) % (most - least + 1))),
  );
const greatestOf = (row: ArrayLike<number>) =>
  Array.from(row).reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);

/** Rows gathered from the matrix, and its products, by `kind`. */
async function run(kind: "cpu" | (typeof OTHER_DEVICES)[number], bits: Uint16Array, width: number, x: Float32Array) {
  const path = join(folder, `${kind}-${width}`);
  writeFileSync(path, new Uint8Array(bits.buffer));
  const device = openDevice({ device: kind, ...(kind === "cpu" && { threads: 2 }) });
  try {
    const shape = [ROWS.length, width] as const;
    const file = await device.open(path, bits.byteLength, { mmap: true });
    const [table] = device.place("table", { file, offset: 0, dtype: "bf16", shape }, ["rows", "product"]);
    file.dispose();
    const given = {
      ids: device.allocate("ids", "i32", [ROWS.length]),
      x: device.allocate("x", "f32", [TOKENS, width]),
    };
    const recorder = new Recorder({ capacity: { rows: 0, wanted: 0 } });
    const weights = recorder.input(table);
    const made = [
      recorder.gatherRows(weights, recorder.input(given.ids)),
      recorder.matmul(recorder.input(given.x), weights),
    ] as const;
    const outputs = made.map((value) => {
      recorder.output(value);
      return device.allocate("out", "f32", value.shape as readonly number[]);
    }) as [Tensor, Tensor];
    const places = new Map(made.map((value, i) => [value, outputs[i]!]));
    const program = compile(device, recorder.finish(), { passes: [], places });
    await device.run(null, {
      writes: [
        [given.ids, Int32Array.from(ROWS, (_, row) => row)],
        [given.x, x],
      ],
    });
    await program.run({});
    const [gathered, products] = [new Float32Array(bits.length), new Float32Array(TOKENS * ROWS.length)];
    await device.run(null, {
      reads: [
        [outputs[0], gathered],
        [outputs[1], products],
      ],
    });
    return { gathered, products };
  } finally {
    await device.dispose();
  }
}

// Of a multiple of 8, which goes to tensor cores, and of none.
describe.each([72, 33])("a matrix of bf16 of width %i", (width) => {
  const { contents } = stored(
    "bf16",
    f32(
      [ROWS.length, width],
      ROWS.flatMap((row) => rowOf(row, width)),
    ),
  );
  const bits = contents.data as Uint16Array;
  const values = widen("bf16", bits);
  const x = Float32Array.from({ length: TOKENS * width }, () => next());

  test.each(["cpu", ...OTHER_DEVICES] as const)("counts as what is in the file: %s", async (kind) => {
    const { gathered, products } = await run(kind, bits, width, x);
    ROWS.forEach(({ what }, row) => {
      const own = values.subarray(row * width, (row + 1) * width);
      const greatest = greatestOf(own);
      own.forEach((value, k) => {
        const is = gathered[row * width + k]!;
        if (Number.isFinite(value))
          expect([what, k, Math.abs(is - value) <= greatest * 2 ** -40 + 2 ** -149]).toEqual([what, k, true]);
        else expect([what, k, is]).toEqual([what, k, value]);
      });
      for (let token = 0; token < TOKENS; token++) {
        const terms = Array.from(own, (value, k) => value * x[token * width + k]!);
        const [exact, size] = [terms.reduce((a, b) => a + b), terms.reduce((a, b) => a + Math.abs(b), 0)];
        const is = products[token * ROWS.length + row]!;
        if (Number.isFinite(exact)) {
          // Beneath 2⁻¹¹¹ a row's power of two is none any more: its products are denormal, as near as those are.
          const bound = size * (ownRoundings(kind, "f16", width) + width * 2 ** -24) + 2 ** -126;
          expect([what, token, Math.abs(is - exact) <= bound]).toEqual([what, token, true]);
        } else expect([what, token, is]).toEqual([what, token, Number.isNaN(exact) ? Number.NaN : exact]);
      }
    });
  });
});

const devices = OTHER_DEVICES.filter(isCuda);
const describeCuda = describeWhere(
  devices.length > 0,
  "matrices of bf16 on CUDA: QUIPU_TEST_DEVICES names no such device",
);

describeCuda.each(devices.length > 0 ? devices : ["cuda" as const])("%s", (kind) => {
  const WIDTH = 16;
  /** The rows that a matrix of bf16 has become lie apart from their powers of two: what is not the whole would meet others' of them. */
  test.each<[string, Partial<Tensor>]>([
    ["rows from the second on", { offset: WIDTH * 2, shape: [3, WIDTH] }],
    ["rows of half the width", { shape: [8, WIDTH / 2] }],
    ["its bytes as f16", { dtype: "f16" }],
  ])("%s are refused", async (_, other) => {
    const path = join(folder, `${kind}-part`);
    writeFileSync(path, new Uint8Array(4 * WIDTH * 2));
    const device = openDevice({ device: kind });
    try {
      const file = await device.open(path, 4 * WIDTH * 2, { mmap: true });
      const [table] = device.place("table", { file, offset: 0, dtype: "bf16", shape: [4, WIDTH] }, ["rows"]);
      file.dispose();
      const part = { ...table, ...other };
      const recorder = new Recorder({ capacity: { rows: 0, wanted: 0 } });
      const out = recorder.gatherRows(recorder.input(part), recorder.input(device.allocate("ids", "i32", [1])));
      recorder.output(out);
      const places = new Map([[out, device.allocate("out", "f32", [1, part.shape[1]!])]]);
      const run = async () => compile(device, recorder.finish(), { passes: [], places }).run({});
      await expect(run()).rejects.toThrow(/is used otherwise than as a whole/);
    } finally {
      await device.dispose();
    }
  });
});

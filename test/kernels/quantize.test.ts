// quantize, and what reads its codes: exact codes on every device, exact products on every CPU target.
import type { Packed } from "#quipu/device/formats.js";
import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { f32, i32, packed, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { codesOf, packedRows } from "./packed-definition.js";
import {
  expectFailureEverywhere,
  expectSameBits,
  expectWithin,
  runEverywhere,
  runExactly,
  runOnEveryDevice,
} from "./run-op.js";

const PACKED: readonly Packed[] = ["q8", "q6", "q4"];

type Inputs = Readonly<Record<"weight" | "room" | "ids", Value>>;

const values = (r: Recorder, { weight, room, ids }: Inputs) => [r.gatherRows(r.quantize(weight, room), ids)];
const allOf = (rows: number) => i32([rows], Array(rows).keys());

const SHAPES = [
  [1, 1],
  [1, 32],
  [15, 31],
  [16, 33],
  [17, 64],
  [33, 100],
  [3, 255],
  [2, 257],
  [18, 420],
  [48, 576],
] as const;

describe.each(PACKED.flatMap((format) => WEIGHT_DTYPES.map((dtype) => [format, dtype] as const)))(
  "%s of %s",
  (format, dtype) => {
    test.each(SHAPES)("%i × %i has the codes of docs/numerics.md, on every device", async (rows, depth) => {
      const next = randomNumbers(rows * 1000 + depth);
      const random = randomF32(next, [rows, depth], 0.05);
      random.data.forEach((x, i) => {
        if (i % 97 === 0) random.data[i] = x * 30;
        if (depth > 100 && i % depth < 32) random.data[i] = Math.abs(x); // a block without a minimum
        if (depth > 100 && i % depth >= 64 && i % depth < 96) random.data[i] = 0.2 + x; // far from zero
      });
      const { contents, values: given } = stored(dtype, random);
      const inputs = { weight: contents, room: packed([rows, depth], format), ids: allOf(rows) };
      const { outputs } = await runExactly(inputs, values);
      expectSameBits(outputs[0]!, Float32Array.from(packedRows(format, given, rows, depth).values), "values");
    });
  },
);

test.each(PACKED)(
  "%s: blocks of zeros, of one value, of the smallest and the largest that there are",
  async (format) => {
    const depth = 32 * 8;
    const weights = new Float32Array(2 * depth);
    const blocks = [0, 0.5, -1, 1e-45, 2 ** -24, 2 ** -14, 65504 * 3, 3e-6];
    for (const [block, value] of blocks.entries()) {
      for (let i = 0; i < 32; i++) {
        weights[block * 32 + i] = value;
        weights[depth + block * 32 + i] = i === 7 ? -value : value * (i / 32); // signs, and ties among codes
      }
    }
    const inputs = { weight: f32([2, depth], weights), room: packed([2, depth], format), ids: allOf(2) };
    const { outputs } = await runExactly(inputs, values);
    expectSameBits(outputs[0]!, Float32Array.from(packedRows(format, weights, 2, depth).values), "values");
  },
);

const TOO_LARGE: Readonly<Record<Packed, number>> = { q8: 65520 * 125, q6: 65520 * 30.5, q4: (65520 * 63) / 1.02 };

describe.each(PACKED)("%s", (format) => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, -TOO_LARGE[format], -1e30])("%d has no codes", async (x) => {
    const weights = randomF32(randomNumbers(1), [20, 70]);
    weights.data[18 * 70 + 69] = x;
    const inputs = { weight: weights, room: packed([20, 70], format), ids: allOf(20) };
    await expectFailureEverywhere(inputs, values, { code: "ERR_NOT_A_NUMBER" });
  });

  // Signs for which every sum of the rotation ends as a NaN, none as an infinity.
  test("a row of the largest weights that there are has no codes", async () => {
    const weight = randomF32(randomNumbers(1), [3, 32]);
    weight.data.subarray(32, 64).forEach((_, i, row) => {
      row[i] = (i % 4 === 3 ? -1 : 1) * (i >= 16 && i % 8 >= 4 ? -1 : 1) * 3e38;
    });
    await expectFailureEverywhere({ weight, room: packed([3, 32], format), ids: allOf(3) }, values, {
      code: "ERR_NOT_A_NUMBER",
    });
  });

  test("ids that are no rows give zeros", async () => {
    const weight = randomF32(randomNumbers(2), [5, 40]);
    const ids = i32([4], [-1, 5, 2 ** 31 - 1, 2]);
    const { outputs } = await runExactly({ weight, room: packed([5, 40], format), ids }, values);
    const rows = packedRows(format, weight.data, 5, 40).values;
    expectSameBits(outputs[0]!, Float32Array.from([...Array(120).fill(0), ...rows.subarray(80, 120)]), "rows");
  });
});

const ROWS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 31, 33, 64, 65];
const DEPTHS = [1, 31, 32, 33, 64, 96, 256, 257, 420, 512, 544, 576, 1056];
const FEATURES = [1, 15, 16, 17, 33, 100];
const PRODUCTS = process.env.QUIPU_EXHAUSTIVE
  ? DEPTHS.flatMap((depth, i) =>
      ROWS.filter((_, j) => (i + j) % 2 === 0).map(
        (rows, j) => [rows, depth, FEATURES[(i + j) % FEATURES.length]!] as const,
      ),
    )
  : ROWS.map((rows, i) => [rows, DEPTHS[(5 * i) % DEPTHS.length]!, FEATURES[i % FEATURES.length]!] as const);

describe.each(PACKED)("products by %s", (format) => {
  type Operands = Readonly<Record<"a" | "weight" | "room", Value>>;
  const multiply = (r: Recorder, { a, weight, room }: Operands) => [r.matmul(a, r.quantize(weight, room))];

  test.each(PRODUCTS)("%i × %i by %i rows", async (rows, depth, features) => {
    const next = randomNumbers(rows * depth + features);
    const a = randomF32(next, [rows, depth], 3);
    const weight = randomF32(next, [features, depth]);
    const all = await runOnEveryDevice({ a, weight, room: packed([features, depth], format) }, multiply);
    const packedWeight = packedRows(format, weight.data, features, depth);
    const greatest = packedWeight.values.reduce((most, w) => Math.max(most, Math.abs(w)), 0);
    for (let t = 0; t < rows; t++) {
      const x = a.data.subarray(t * depth, (t + 1) * depth);
      const codes = codesOf(x, packedWeight.block);
      const exact = Float32Array.from({ length: features }, (_, n) => packedWeight.product(codes, n));
      expectSameBits(all[0]!.outputs[0]!.subarray(t * features, (t + 1) * features), exact, `row ${t}`);
      // Beside the product of the same weights in f64: an activation is off by half a step, at most, and a rounding. (Of q4 the parts
      // of a weight, scale · code and minimum, are rounded for themselves: each is at most 3 times as large as any weight.)
      for (const { device, outputs } of all) {
        const sums = new Float64Array(features);
        const bounds = new Float64Array(features);
        for (let n = 0; n < features; n++) {
          for (let k = 0; k < depth; k++) {
            const w = packedWeight.values[n * depth + k]!;
            sums[n]! += x[k]! * w;
            const step = codes.scales[Math.floor(k / packedWeight.block)]!;
            const coded = Math.abs(packedWeight.rotated[n * depth + k]!);
            bounds[n]! += 0.501 * step * coded + 2e-6 * Math.abs(x[k]!) * (Math.abs(w) + 3 * greatest);
          }
        }
        const row = outputs[0]!.subarray(t * features, (t + 1) * features);
        expectWithin(row, sums, (n) => bounds[n]!, `row ${t} (${device})`);
      }
    }
  });

  // Whole numbers of more bits than f32 has: what is added as f32 on the way must be rounded nowhere.
  test.each([1, 3, 17, 40])("%i rows of the largest sums that there are", async (rows) => {
    const [depth, features] = [544, 33];
    const next = randomNumbers(rows);
    const high = (shape: number[], spread: number) => {
      const random = randomF32(next, shape, spread);
      return f32(
        shape,
        random.data.map((x, i) => (i % 32 === 0 ? 0 : 1 - Math.abs(x))),
      );
    };
    const [a, weight] = [high([rows, depth], 0.03), high([features, depth], 0.01)];
    const { outputs } = await runEverywhere({ a, weight, room: packed([features, depth], format) }, multiply);
    const packedWeight = packedRows(format, weight.data, features, depth);
    const exact = Float32Array.from({ length: rows * features }, (_, i) => {
      const first = Math.floor(i / features) * depth;
      return packedWeight.product(codesOf(a.data.subarray(first, first + depth), packedWeight.block), i % features);
    });
    expectSameBits(outputs[0]!, exact, "out");
  });

  test("a row's result does not depend on the rows beside it", async () => {
    const [depth, features] = [576, 33];
    const next = randomNumbers(9);
    const a = randomF32(next, [70, depth]);
    const weight = randomF32(next, [features, depth]);
    const room = packed([features, depth], format);
    const { outputs } = await runEverywhere({ a, weight, room }, multiply);
    for (const [first, count] of [
      [0, 1],
      [3, 2],
      [60, 10],
      [69, 1],
    ] as const) {
      const some = f32([count, depth], a.data.subarray(first * depth, (first + count) * depth));
      const alone = await runEverywhere({ a: some, weight, room }, multiply);
      const same = outputs[0]!.subarray(first * features, (first + count) * features);
      expectSameBits(alone.outputs[0]!, same, `rows ${first} …`);
    }
  });

  test("a block of activations that holds a NaN or an infinity makes its row NaN; one that is tiny counts as zeros", async () => {
    const depth = 96;
    const a = randomF32(randomNumbers(3), [4, depth]);
    a.data[5] = Number.NaN;
    a.data[depth + 40] = Number.POSITIVE_INFINITY;
    a.data.subarray(2 * depth).fill(1e-31);
    a.data[3 * depth + 95] = 1;
    const weight = f32([1, depth], new Float32Array(depth).fill(1));
    const { outputs } = await runEverywhere({ a, weight, room: packed([1, depth], format) }, multiply);
    expectSameBits(outputs[0]!.subarray(0, 3), Float32Array.of(Number.NaN, Number.NaN, 0), "out");
    const { values: ones } = packedRows(format, weight.data, 1, depth);
    expectWithin(outputs[0]!.subarray(3), [ones[95]!], () => 1e-6, "out");
  });

  test("fused with a residual or a gate they are what the ops are one after the other", async () => {
    const [rows, depth, features] = [7, 100, 40];
    const next = randomNumbers(4);
    const [a, residual] = [randomF32(next, [rows, depth]), randomF32(next, [rows, features])];
    const [gate, up] = [randomF32(next, [features, depth]), randomF32(next, [features, depth])];
    const inputs = {
      a,
      residual,
      gate,
      up,
      gateRoom: packed([features, depth], format),
      upRoom: packed([features, depth], format),
    };
    for (const count of [1, rows]) {
      const cut = { a: f32([count, depth], a.data.subarray(0, count * depth)) };
      const residualCut = { residual: f32([count, features], residual.data.subarray(0, count * features)) };
      const { outputs } = await runEverywhere({ ...inputs, ...cut, ...residualCut }, (r, v) => {
        const [g, u] = [r.quantize(v.gate, v.gateRoom), r.quantize(v.up, v.upRoom)];
        return [
          r.record("matmulAdd", { a: v.a, b: g, residual: v.residual }).out!,
          r.add(v.residual, r.matmul(v.a, g)),
          r.record("matmulSwiglu", { a: v.a, gate: g, up: u }).out!,
          r.swiglu(r.matmul(v.a, g), r.matmul(v.a, u)),
        ];
      });
      expectSameBits(outputs[0]!, outputs[1]!, "matmulAdd");
      expectSameBits(outputs[2]!, outputs[3]!, "matmulSwiglu");
    }
  });
});

import type { CacheState, Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import {
  CACHE_DTYPES,
  type CacheContents,
  type CacheShape,
  type Place,
  placeIn,
  randomCache,
  rotate,
  rotates,
  rowContents,
} from "./cache.js";
import { fround, gamma, rint } from "./canonical.js";
import { type Contents, f16Bits, f32, randomF32, randomNumbers } from "./contents.js";
import { expectFailureEverywhere, expectSameBits, expectWithin, runExactly, runOnEveryDevice } from "./run-op.js";

const { abs, log2, max, min, sqrt } = Math;

type Inputs = { k: Contents; v: Contents; slots: Contents; positions: Contents; pageTable: Contents } & CacheContents;

const record = (r: Recorder, inputs: Readonly<Record<keyof Inputs, Value>>) => {
  r.appendKv(inputs.k, inputs.v, inputs as CacheState, inputs);
  return [];
};

/**
 * f32 is copied and f16 rounded once: the same on every device. A quotient beside a tie goes one way or the other to i8. A rotated
 * vector is off by log₂ d roundings of sums up to Σ|x|, which is at most √d times the greatest of what it is turned into.
 */
async function append(inputs: Inputs) {
  const given = inputs as Required<Inputs>;
  if (inputs.keys.dtype !== "i8") return runExactly(given, record);
  const [cpu, ...others] = await runOnEveryDevice(given, record);
  const size = inputs.keys.shape[2]!;
  const inScale = rotates({ dtype: "i8", pages: 1, heads: 1, size }) ? gamma(log2(size) + 2) * sqrt(size) : 0;
  for (const { device, state } of others) {
    for (const name of ["keys", "values"] as const)
      expectWithin(state[name], cpu!.state[name], () => 1, `${name} (${device})`);
    for (const name of ["keyScales", "valueScales"] as const)
      expectWithin(state[name], cpu!.state[name], (i) => inScale * cpu!.state[name][i]!, `${name} (${device})`);
  }
  return cpu!;
}

/** i8 of a vector with one scale, to the letter of docs/numerics.md. */
function quantized(vector: Float32Array): { scale: number; stored: number[] } {
  const scale = fround(vector.reduce((greatest, x) => max(greatest, abs(x)), 0) / 127);
  const stored = Array.from(vector, (x) => (scale === 0 ? 0 : max(-127, min(127, rint(fround(x / scale))))));
  return { scale, stored };
}

/** The cache afterwards. */
function expected(
  shape: CacheShape,
  { k, v, ...cache }: Inputs,
  places: readonly Place[],
  table: readonly (readonly number[])[],
) {
  const { heads, size } = shape;
  const copy = (contents: Contents | undefined) => contents?.data.slice();
  const after = { keys: copy(cache.keys)!, values: copy(cache.values)! };
  const scales = { keys: copy(cache.keyScales), values: copy(cache.valueScales) };
  places.forEach(([slot, position], row) => {
    if (slot < 0 || position < 0) return;
    const page = table[slot]![Math.floor(position / 64)]!;
    for (let head = 0; head < heads; head++) {
      const at = placeIn(shape, page, head, position);
      for (const [which, source] of [
        ["keys", k],
        ["values", v],
      ] as const) {
        const vector = (source.data as Float32Array).subarray(
          (row * heads + head) * size,
          (row * heads + head + 1) * size,
        );
        const { scale, stored } = quantized(rotates(shape) ? rotate(vector.slice()) : vector);
        vector.forEach((x, c) => {
          const place = which === "keys" ? at.key(c) : at.value + c;
          after[which][place] = { f32: x, f16: f16Bits(x), i8: stored[c]! }[shape.dtype];
        });
        if (shape.dtype === "i8") scales[which]![at.scale] = scale;
      }
    }
  });
  return { ...after, keyScales: scales.keys, valueScales: scales.values };
}

async function expectAppended(
  shape: CacheShape,
  k: Contents,
  v: Contents,
  places: readonly Place[],
  table: number[][],
) {
  const inputs = { k, v, ...rowContents(places, table, shape.pages), ...randomCache(shape, randomNumbers(99)) };
  const { state } = await append(inputs);
  const after = expected(shape, inputs, places, table);
  expectSameBits(state.keys, after.keys, "keys");
  expectSameBits(state.values, after.values, "values");
  if (shape.dtype !== "i8") return;
  expectSameBits(state.keyScales, after.keyScales!, "key scales");
  expectSameBits(state.valueScales, after.valueScales!, "value scales");
}

const TABLE = [
  [4, 0],
  [2, 5],
];

describe.each(CACHE_DTYPES)("appendKv to %s", (dtype) => {
  test.each([
    { heads: 1, size: 1 },
    { heads: 2, size: 2 },
    { heads: 3, size: 15 },
    { heads: 1, size: 16 },
    { heads: 2, size: 17 },
    { heads: 2, size: 40 },
    { heads: 3, size: 32 },
    { heads: 1, size: 128 },
  ])("%j: rows of two slots over page ends, padding between, all else untouched", async ({ heads, size }) => {
    const places: Place[] = [
      [0, 62],
      [0, 63],
      [0, 64],
      [0, 65],
      [-1, 5],
      [1, 0],
      [1, 127],
      [0, -1],
      [-1, -1],
    ];
    const next = randomNumbers(size);
    const [k, v] = [randomF32(next, [9, heads * size], 3), randomF32(next, [9, heads * size], 1e-3)];
    await expectAppended({ dtype, pages: 6, heads, size }, k, v, places, TABLE);
  });

  // A task is 64 rows.
  test.each([1, 2, 3, 7, 8, 9, 12, 13, 64, 65])("%i rows of a chunk", async (rows) => {
    const places = Array.from({ length: rows }, (_, t): Place => [1, 30 + t]);
    const next = randomNumbers(rows);
    const [k, v] = [randomF32(next, [rows, 10]), randomF32(next, [rows, 10])];
    await expectAppended({ dtype, pages: 6, heads: 2, size: 5 }, k, v, places, TABLE);
  });

  test("a position whose page is missing fails the run", async () => {
    const shape = { dtype, pages: 6, heads: 2, size: 5 };
    const next = randomNumbers(1);
    const table = [[4, -1]];
    const places: Place[] = [
      [0, 63],
      [0, 64],
    ];
    const inputs = {
      k: randomF32(next, [2, 10]),
      v: randomF32(next, [2, 10]),
      ...rowContents(places, table, 6),
      ...randomCache(shape, next),
    };
    await expectFailureEverywhere(inputs as unknown as Required<Inputs>, record, {
      code: "ERR_INTERNAL",
      message: expect.stringMatching(/op \d \(appendKv, row 1\) met an index that its operands do not allow/),
    });
  });
});

const inf = Number.POSITIVE_INFINITY;

test("f16 rounds to nearest even, keeps subnormals and overflows to infinity", async () => {
  const ulp = 2 ** -10; // of 1
  const pairs: [number, number][] = [
    [1 + ulp / 2, 1],
    [1 + (3 * ulp) / 2, 1 + 2 * ulp],
    [fround(1 + ulp / 2 + 2 ** -23), 1 + ulp],
    [2 - ulp / 2, 2],
    [65504, 65504],
    [65519.99, 65504],
    [65520, inf],
    [1e30, inf],
    [inf, inf],
    [2 ** -14, 2 ** -14],
    [2 ** -14 - 2 ** -24, 2 ** -14 - 2 ** -24],
    [2 ** -14 - 2 ** -26, 2 ** -14],
    [2 ** -24, 2 ** -24],
    [1.5 * 2 ** -24, 2 ** -23],
    [2.5 * 2 ** -24, 2 ** -23],
    [2 ** -25, 0],
    [fround(2 ** -25 * (1 + 2 ** -23)), 2 ** -24],
    [2 ** -149, 0],
    [0, 0],
  ];
  const signed = pairs.flatMap(([x, y]) => [
    [x, y],
    [-x, -y],
  ]) as [number, number][];
  const k = f32(
    [1, signed.length],
    signed.map(([x]) => x),
  );
  const exact = f32(
    [1, signed.length],
    signed.map(([, y]) => y),
  );
  const shape = { dtype: "f16" as const, pages: 1, heads: 1, size: signed.length };
  const rows = rowContents([[0, 0]], [[0]], 1);
  const { state } = await append({ k, v: k, ...rows, ...randomCache(shape, randomNumbers(1)) });
  const bits = Uint16Array.from(exact.data, f16Bits); // exact values, so nothing is rounded here
  expectSameBits(state.values.slice(0, signed.length), bits, "values");
  expectSameBits(
    Uint16Array.from(bits, (_, c) => state.keys[64 * c]!),
    bits,
    "keys",
  );
});

test("f16 keeps NaN", async () => {
  const k = f32([1, 17], new Array<number>(17).fill(Number.NaN));
  const shape = { dtype: "f16" as const, pages: 1, heads: 1, size: 17 };
  const { state } = await append({
    k,
    v: k,
    ...rowContents([[0, 0]], [[0]], 1),
    ...randomCache(shape, randomNumbers(1)),
  });
  for (const bits of state.values.slice(0, 17)) expect(bits & 0x7fff).toBeGreaterThan(0x7c00);
});

test("i8: ties to even, zeros, and numbers too small for a scale", async () => {
  // Vectors of 17 for each head; amax 127 makes the scale 1, so x / scale is x.
  const vectors = [
    [127, 0.5, 1.5, 2.5, -0.5, -1.5, 126.5, -126.5, 125.5, 0.49, 0.51, -127, 1, -1, 3.4999, 0, -0],
    new Array<number>(17).fill(0),
    [2 ** -149, -(2 ** -149), ...new Array<number>(15).fill(0)], // scale rounds to 0
    [190 * 2 ** -149, -190 * 2 ** -149, ...new Array<number>(15).fill(0)], // scale rounds down to 2⁻¹⁴⁹: kept at ±127
    [3e38, -3e38, 1e38, ...new Array<number>(14).fill(0)],
  ];
  const k = f32([1, 17 * vectors.length], vectors.flat());
  const shape = { dtype: "i8" as const, pages: 1, heads: vectors.length, size: 17 };
  await expectAppended(shape, k, k, [[0, 3]], [[0]]);
  const first = [127, 0, 2, 2, 0, -2, 126, -126, 126, 0, 1, -127, 1, -1, 3, 0, 0];
  expect(quantized(Float32Array.from(vectors[0]!)).stored.map((x) => x + 0)).toEqual(first);
});

test.each([17, 32].flatMap((size) => [0, 5, 15, 16].map((at) => [size, at] as const)))(
  "i8: what has no i8 form shows in the scale (of %i features feature %i)",
  async (size, at) => {
    const shape = { dtype: "i8" as const, pages: 1, heads: 3, size };
    const k = randomF32(randomNumbers(at), [1, 3 * size]);
    k.data[at] = Number.NaN;
    k.data[size + at] = Number.POSITIVE_INFINITY;
    k.data[2 * size + at] = Number.NEGATIVE_INFINITY;
    const inputs = { k, v: k, ...rowContents([[0, 7]], [[0]], 1), ...randomCache(shape, randomNumbers(1)) };
    const { state } = await append(inputs);
    for (const scales of [state.keyScales, state.valueScales])
      expect([0, 1, 2].map((head) => scales[head * 64 + 7])).toEqual([Number.NaN, inf, inf]);
    for (let head = 0; head < 3; head++) {
      const { value } = placeIn(shape, 0, head, 7);
      expect(state.values.slice(value, value + size).every((x) => x >= -127)).toBe(true);
    }
  },
);

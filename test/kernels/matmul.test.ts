import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { dot, gamma } from "./canonical.js";
import { type Contents, f32, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import {
  expectSameBits,
  expectWithin,
  isCuda,
  OTHER_DEVICES,
  ownRoundings,
  runEverywhere,
  runExactly,
  runOnEveryDevice,
  runOp,
  setups,
} from "./run-op.js";

const { abs, floor } = Math;

const BLOCK = 1024;
const ROWS = [1, 2, 3, 6, 7, 9, 12, 13, 16, 32, 33, 64, 65]; // the dot form, tiles up to 32 or 64 rows by sixes, panels
const FEATURES = [1, 15, 16, 17, 33, 420, 1003];
const DEPTHS = [1, 15, 16, 17, 33, 420, 1008, 1023, 1024, 1025, 2048, 2100, 3090];

interface Case {
  readonly rows: number;
  readonly depth: number;
  readonly features: number;
  readonly dtype: (typeof WEIGHT_DTYPES)[number];
}

/** Every depth with every dtype (exhaustive: and count of rows); every count of rows with features around the 16 and 32 of strips and panels; the widest features. */
function cases(): Case[] {
  if (process.env.QUIPU_EXHAUSTIVE) {
    return WEIGHT_DTYPES.flatMap((dtype, k) =>
      DEPTHS.flatMap((depth, i) =>
        ROWS.map((rows, j) => ({ rows, depth, features: FEATURES[(i + j + k) % FEATURES.length]!, dtype })),
      ),
    );
  }
  const byDepth = DEPTHS.flatMap((depth, i) =>
    WEIGHT_DTYPES.map((dtype, k) => {
      const [rows, features] = [ROWS[(3 * i + 4 * k) % ROWS.length]!, FEATURES[(i + 2 * k) % 5]!];
      return { rows, depth, features, dtype };
    }),
  );
  const byRows = ROWS.flatMap((rows, i) =>
    [15, 17, 33, 49, 18, 3].map((features, k) => ({ rows, depth: 40, features, dtype: WEIGHT_DTYPES[(i + k) % 3]! })),
  );
  const wide = WEIGHT_DTYPES.flatMap((dtype, k) => [
    { rows: 1 + k, depth: 420, features: 1003, dtype },
    { rows: 64 + k, depth: 33, features: 1003, dtype },
    { rows: 7 + 2 * k, depth: 1025, features: 420, dtype },
    { rows: 5 + 4 * k, depth: 5000, features: 51, dtype }, // sixteen rows of it are more than is fetched ahead
    { rows: 2, depth: 424, features: 300, dtype }, // as many tiles as blocks of a GPU have several of
    { rows: 12, depth: 136, features: 300, dtype },
    { rows: 70, depth: 680, features: 150, dtype },
  ]);
  return [...byDepth, ...byRows, ...wide];
}

/** Σ a[t] · b[n] in f64, and Σ |a[t] · b[n]|. */
function product(a: Float32Array, t: number, b: Float64Array, n: number, depth: number): [number, number] {
  let [sum, magnitude] = [0, 0];
  for (let k = 0; k < depth; k++) {
    const term = a[t * depth + k]! * b[n * depth + k]!;
    sum += term;
    magnitude += abs(term);
  }
  return [sum, magnitude];
}

const record = (r: Recorder, { a, b }: Readonly<Record<"a" | "b", Value>>) => [r.matmul(a, b)];
const multiply = (inputs: { a: Contents; b: Contents }) => runEverywhere(inputs, record);

test.each(cases())("$rows × $depth by $features rows of $dtype", async ({ rows, depth, features, dtype }) => {
  const next = randomNumbers(rows * depth + features);
  const a = randomF32(next, [rows, depth]);
  const { contents: b, values } = stored(dtype, randomF32(next, [features, depth]));
  const all = await runOnEveryDevice({ a, b }, record);
  const out = all[0]!.outputs[0]!;
  // A product passes the fma of its lane, up to 64 in a block, the 4 halvings and one addition a further block.
  const blocks = Math.ceil(depth / BLOCK);
  const bound = gamma(Math.ceil(Math.min(depth, BLOCK) / 16) + 4 + blocks - 1);
  const stride = floor(out.length / 1000) | 1; // odd: all rows and features in turn, the last included
  for (let i = out.length - 1, count = 0; i >= 0; i -= stride, count++) {
    const [t, n] = [floor(i / features), i % features];
    const [sum, magnitude] = product(a.data, t, values, n, depth);
    for (const { device, outputs } of all) {
      const what = `row ${t}, feature ${n} (${device})`;
      const own = bound + ownRoundings(device, dtype, depth);
      expectWithin(outputs[0]!.subarray(i, i + 1), [sum], () => own * magnitude, what);
    }
    if (count % 25 !== 0) continue; // the definition in TypeScript is slow
    const canonical = Float32Array.of(dot(a.data, t * depth, values, n * depth, depth, BLOCK));
    expectSameBits(out.subarray(i, i + 1), canonical, `row ${t}, feature ${n} against numerics.md`);
  }
});

test.each(ROWS)("%i rows of small whole numbers: no rounding, so no bound", async (rows) => {
  const next = randomNumbers(rows);
  const whole = (shape: number[]) => {
    const { data } = randomF32(next, shape, 8);
    return f32(shape, data.map(Math.round));
  };
  const [features, depth] = [35, 2063];
  const a = whole([rows, depth]);
  const { contents: b, values } = stored("bf16", whole([features, depth]));
  const { outputs } = await runExactly({ a, b }, record);
  const exact = Float32Array.from(
    { length: rows * features },
    (_, i) => product(a.data, floor(i / features), values, i % features, depth)[0],
  );
  expectSameBits(outputs[0]!, exact, "out");
});

/** Devices that promise the same bits for a row whatever it runs beside. */
const invariant = OTHER_DEVICES.filter(isCuda).map((device) => ({
  device,
  target: device,
  threads: 1,
}));

describe.each([...setups(), ...invariant])("$target, $threads threads", (setup) => {
  test.each(WEIGHT_DTYPES)("a row is the same alone, in tiles and in panels: %s", async (dtype) => {
    const next = randomNumbers(7);
    const [rows, depth, features] = [65, 1100, 50];
    const a = randomF32(next, [rows, depth]);
    const { contents: b } = stored(dtype, randomF32(next, [features, depth]));
    const part = async (first: number, count: number) => {
      const some = f32([count, depth], a.data.subarray(first * depth, (first + count) * depth));
      return (await runOp(setup, { a: some, b }, (r, { a, b }) => [r.matmul(a, b)])).outputs[0]!;
    };
    const all = await part(0, rows);
    for (const [first, count] of [
      [0, 1],
      [64, 1],
      [11, 1],
      [5, 2],
      [30, 8],
      [30, 9],
      [2, 6],
      [7, 16],
      [1, 13],
      [0, 33],
      [1, 64],
    ] as const) {
      const expected = all.subarray(first * features, (first + count) * features);
      expectSameBits(await part(first, count), expected, `rows ${first} … ${first + count - 1}`);
    }
  });
});

test.each([1, 9, 40, 70])("NaN and infinity stay in their row and feature (%i rows)", async (rows) => {
  const next = randomNumbers(8);
  const [depth, features] = [40, 20];
  const [a, b] = [randomF32(next, [rows, depth]), randomF32(next, [features, depth])];
  const clean = (await multiply({ a, b })).outputs[0]!;
  b.data[3 * depth + 39] = Number.NaN;
  b.data[19 * depth] = Number.POSITIVE_INFINITY;
  a.data[(rows - 1) * depth + 17] = Number.NEGATIVE_INFINITY;
  const { outputs } = await multiply({ a, b });
  outputs[0]!.forEach((value, i) => {
    const [t, n] = [floor(i / features), i % features];
    if (t === rows - 1 || n === 3 || n === 19) expect(Number.isFinite(value)).toBe(false);
    else expect(value).toBe(clean[i]);
  });
});

test.each([1, 3])(
  "products below the normal numbers are kept, and a lane past the end ends in +0 (%i rows)",
  async (rows) => {
    // −2⁻¹⁵⁰ rounds to −0; the lane goes on with +0 × +0, and (−0) + (+0) = +0. A lane of a whole step keeps −0.
    const tiny = (depth: number) => f32([rows, depth], new Array<number>(rows * depth).fill(2 ** -75));
    for (const [depth, expected] of [
      [16, -0],
      [17, 0],
      [32, -0],
    ] as const) {
      const b = f32([1, depth], new Array<number>(depth).fill(-(2 ** -75)));
      const { outputs } = await multiply({ a: tiny(depth), b });
      expect([...outputs[0]!]).toEqual(new Array(rows).fill(expected));
      expect(dot(tiny(depth).data, 0, b.data, 0, depth, BLOCK)).toBe(expected);
    }
    const { outputs } = await multiply({ a: f32([1, 2], [2 ** -70, 1]), b: f32([1, 2], [2 ** -70, 0]) });
    expect(outputs[0]![0]).toBe(2 ** -140);
  },
);

test("no rows, no features", async () => {
  for (const [rows, features] of [
    [0, 3],
    [3, 0],
    [20, 0],
  ] as const) {
    const inputs = { a: randomF32(randomNumbers(1), [rows, 5]), b: randomF32(randomNumbers(2), [features, 5]) };
    expect((await multiply(inputs)).outputs[0]).toHaveLength(0);
  }
});

import type { CacheState, Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { CACHE_DTYPES, type CacheShape, type Place, randomCache, rowContents } from "./cache.js";
import { type Contents, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "./contents.js";
import { FORMATS, type Format, matrix, matrixIn } from "./matrices.js";
import { expectFailureEverywhere, expectSameBits, runOnEveryDevice } from "./run-op.js";

const EPSILON = 1e-5;
const SCALES = ["keyScales", "valueScales"] as const;
const NAMES = ["x", "norm", "angles", "slots", "positions", "pageTable"] as const;

interface Case {
  readonly rows: number;
  readonly depth: number;
  /** Key/value heads, query heads to one, half of a head's size. */
  readonly heads: number;
  readonly group: number;
  readonly half: number;
  /** Of the queries, the keys and the values. */
  readonly formats: readonly [Format, Format, Format];
  readonly cache: CacheShape["dtype"];
}

const TABLE = [
  [4, 0],
  [2, 5],
];

const placesOf = (rows: number): Place[] =>
  Array.from({ length: rows }, (_, t): Place => (t % 7 === 5 ? [-1, 3] : [t % 2, 10 + t]));

/** The inputs; with `twice` a second cache with the first one's contents. */
function inputsOf(shape: Case, table = TABLE) {
  const { rows, depth, heads, group, half, formats, cache } = shape;
  const next = randomNumbers(rows * depth + half);
  const state = randomCache({ dtype: cache, pages: 6, heads, size: 2 * half }, next);
  const second = Object.entries(state).map(([name, contents]) => [`${name}2`, contents as Contents]);
  return {
    x: randomF32(next, [rows, depth], 3),
    norm: stored(WEIGHT_DTYPES[rows % 3]!, randomF32(next, [depth])).contents,
    ...matrix("query", formats[0], group * heads * 2 * half, depth, next),
    ...matrix("key", formats[1], heads * 2 * half, depth, next),
    ...matrix("value", formats[2], heads * 2 * half, depth, next),
    angles: randomF32(next, [rows, half, 2]),
    ...rowContents(placesOf(rows), table, 6),
    ...state,
    ...(Object.fromEntries(second) as Record<string, Contents>),
  } as Record<string, Contents>;
}

const cacheOf = (values: Readonly<Record<string, Value>>, suffix: string) =>
  Object.fromEntries(
    ["keys", "values", ...SCALES].map((name) => [name, values[name + suffix]]).filter(([, value]) => value),
  ) as unknown as CacheState;

function record(r: Recorder, values: Readonly<Record<string, Value>>): Value[] {
  const [query, key, value] = ["query", "key", "value"].map((name) => matrixIn(r, values, name)) as [
    Value,
    Value,
    Value,
  ];
  const { x, norm, angles, slots, positions, pageTable } = values as Readonly<Record<(typeof NAMES)[number], Value>>;
  const places = { slots, positions, pageTable };
  const fused = r.record(
    "normQkv",
    { x, norm, query, key, value, angles, ...places, ...cacheOf(values, "") } as Record<string, Value>,
    { epsilon: EPSILON },
  ).out!;
  const h = r.rmsNorm(x, norm, EPSILON);
  const plain = r.rope(r.matmul(h, query), angles);
  r.appendKv(r.rope(r.matmul(h, key), angles), r.matmul(h, value), cacheOf(values, "2"), places);
  return [fused, plain];
}

const CASES: Case[] = [1, 2, 3, 9, 17, 33, 65].flatMap((rows, i) =>
  FORMATS.map((format, j) => ({
    ...{ rows, depth: [1, 33, 64, 100, 257, 1025][(i + j) % 6]! },
    ...{ heads: 1 + (i % 2), group: 1 + (j % 3), half: [1, 4, 8, 10, 16, 17][(i + 2 * j) % 6]! },
    // One format, two of them, three.
    formats: [format, FORMATS[(j + (i % 3 === 1 ? 1 : 0)) % 6]!, FORMATS[(j + (i % 3) * 2) % 6]!] as const,
    cache: CACHE_DTYPES[(i + j) % 3]!,
  })),
);

test.each(CASES)(
  "$rows × $depth, $heads heads of 2 · $half for $group each, $formats to $cache: as rmsNorm, matmul, rope and appendKv",
  async (shape) => {
    for (const { device, outputs, state } of await runOnEveryDevice(inputsOf(shape), record)) {
      expectSameBits(outputs[0]!, outputs[1]!, `queries (${device})`);
      for (const name of ["keys", "values", ...(shape.cache === "i8" ? SCALES : [])])
        expectSameBits(state[name]!, state[`${name}2`]!, `${name} (${device})`);
    }
  },
);

test("no rows", async () => {
  const shape: Case = { rows: 0, depth: 5, heads: 2, group: 2, half: 3, formats: ["f32", "q4", "q8"], cache: "f32" };
  for (const { outputs } of await runOnEveryDevice(inputsOf(shape), record)) expect(outputs[0]).toHaveLength(0);
});

test("a position whose page is missing fails the run", async () => {
  const formats = ["f32", "f32", "f32"] as const;
  const shape: Case = { rows: 2, depth: 5, heads: 2, group: 2, half: 3, formats, cache: "f32" };
  const table = [
    [4, 0],
    [-1, 5],
  ];
  await expectFailureEverywhere(inputsOf(shape, table), record, {
    code: "ERR_INTERNAL",
    message: expect.stringMatching(/op \d \(normQkv, row 1\) met an index that its operands do not allow/),
  });
});

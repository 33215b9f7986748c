import type { CacheState, Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { ReferenceCache } from "./attention-reference.js";
import {
  CACHE_DTYPES,
  type CacheContents,
  type CacheDType,
  type Place,
  placeIn,
  randomCache,
  rowContents,
} from "./cache.js";
import { type Contents, elements, f32, randomF32, randomNumbers } from "./contents.js";
import {
  expectFailureEverywhere,
  expectSameBits,
  expectWithin,
  isCuda,
  runEverywhere,
  runOnEveryDevice,
  runOp,
  setups,
} from "./run-op.js";

const { floor, max, sqrt } = Math;

type Inputs = { q: Contents; slots: Contents; positions: Contents; pageTable: Contents } & Required<CacheContents>;

interface Scenario {
  readonly dtype: CacheDType;
  /** Key/value heads, query heads of each, head size. */
  readonly heads: number;
  readonly group: number;
  readonly size: number;
  readonly places: readonly Place[];
  readonly seed?: number;
  /** Bound of the queries' numbers. */
  readonly most?: number;
  /** What scores are multiplied by. */
  readonly scale?: number;
}

const scaleOf = (size: number) => Math.fround(1 / sqrt(size));

const recordWith =
  (size: number, scale = scaleOf(size)) =>
  (r: Recorder, inputs: Readonly<Record<keyof Inputs, Value>>) => [
    r.attention(inputs.q, inputs as CacheState<Value>, inputs, scale),
  ];

/** Contents for rows at `places`: every slot has pages for its rows, in no order, and two pages are nobody's. */
function contentsOf({ dtype, heads, group, size, places, seed = 1, most = 4 }: Scenario) {
  const next = randomNumbers(seed);
  const slots = max(1, ...places.map(([slot]) => slot + 1));
  const blocks = max(1, ...places.map(([, position]) => floor(position / 64) + 1));
  const pages = slots * blocks + 2;
  const free = Array.from({ length: pages }, (_, page) => page);
  const takePage = () => free.splice(floor(((next() + 1) / 2) * free.length), 1)[0]!;
  const table = Array.from({ length: slots }, () => Array.from({ length: blocks }, takePage));
  const shape = { dtype, pages, heads, size };
  const cache = randomCache(shape, next);
  const q = randomF32(next, [places.length, heads * group * size], most);
  const inputs = { q, ...rowContents(places, table, pages), ...cache } as unknown as Inputs;
  return { inputs, table, shape, cache, q };
}

/** Query head `h` of row `t`. */
const queryAt = ({ heads, group, size }: Scenario, t: number, h: number) => {
  const from = (t * heads * group + h) * size;
  return [from, from + size] as const;
};

/** Runs a scenario everywhere and measures `sampled` of its queries, spread evenly, by both references. */
async function expectAttention(scenario: Scenario, sampled: number) {
  const { heads, group, size, places, scale = scaleOf(size) } = scenario;
  const { inputs, table, shape, cache, q } = contentsOf(scenario);
  const all = await runOnEveryDevice(inputs, recordWith(size, scale));
  const out = all[0]!.outputs[0]!;
  const reference = new ReferenceCache(shape, cache, table);
  const queries = places.length * heads * group;
  const step = max(1, floor(queries / sampled)) | 1;
  for (let i = queries - 1; i >= 0; i -= step) {
    const [t, h] = [floor(i / (heads * group)), i % (heads * group)];
    const [from, end] = queryAt(scenario, t, h);
    const [slot, position] = places[t]!;
    const got = out.subarray(from, end);
    if (slot < 0 || position < 0) {
      for (const { device, outputs } of all)
        expectSameBits(outputs[0]!.subarray(from, end), new Float32Array(size), `padding row ${t} (${device})`);
      continue;
    }
    const given = [q.data.subarray(from, end), floor(h / group), slot, position, scale] as const;
    const what = `row ${t} (slot ${slot}, position ${position}), head ${h}`;
    expectSameBits(got, reference.canonical(...given), `${what} against numerics.md`);
    for (const { device, outputs } of all) {
      // On tensor cores queries and weights are of f16; elsewhere a GPU's 2ˣ has its own error, and chunks are of 256 keys.
      const narrow = !isCuda(device) ? 0 : shape.dtype === "f16" && (size === 64 || size === 128) ? 2 ** -11 : 2 ** -20;
      const exact = reference.exact(...given, device === "cpu", narrow);
      expectWithin(
        outputs[0]!.subarray(from, end),
        exact.out,
        (c) => exact.bounds[c]!,
        `${what} against f64 (${device})`,
      );
    }
  }
}

const GROUPS = [
  { heads: 3, group: 1 },
  { heads: 2, group: 3 },
  { heads: 2, group: 4 },
  { heads: 1, group: 6 },
] as const;

describe.each(CACHE_DTYPES)("attention over a cache of %s", (dtype) => {
  test.each(
    [2, 16, 56, 64, 128].flatMap((size, i) =>
      (process.env.QUIPU_EXHAUSTIVE ? GROUPS : [GROUPS[i % 4]!, GROUPS[(i + 2) % 4]!]).map((group) => ({
        size,
        ...group,
      })),
    ),
  )("heads of $size, $heads × $group: slots at the ends of pages", async (heads) => {
    const places: Place[] = [
      [0, 0],
      [1, 63],
      [2, 64],
      [-1, -1],
      [3, 65],
      [4, 200],
      [5, 300],
    ];
    await expectAttention({ dtype, ...heads, places }, 12);
  });

  test.each([1, 2, 3, 7, 8, 9, 12, 13, 64, 65])("%i rows of a chunk", async (rows) => {
    // One head and up to 64 rows share pages out over threads; more rows walk the pages in runs.
    const places = Array.from({ length: rows }, (_, t): Place => [0, 200 - rows + 1 + t]);
    await expectAttention({ dtype, heads: 1, group: 3, size: 18, places }, 8);
  });

  test.each([
    { heads: 1, group: 1, size: 5 },
    { heads: 3, group: 5, size: 17 },
    { heads: 2, group: 7, size: 33 },
    { heads: 1, group: 50, size: 4 },
    { heads: 2, group: 2, size: 8 },
    { heads: 3, group: 1, size: 12 },
    { heads: 4, group: 13, size: 1 },
    { heads: 1, group: 2, size: 64 },
    { heads: 1, group: 1, size: 128 },
  ])("%j: many rows of several slots with padding between", async (shape) => {
    const chunk = (slot: number, first: number, count: number) =>
      Array.from({ length: count }, (_, i): Place => [slot, first + i]);
    const places = [
      ...chunk(1, 60, 9),
      [-1, 3],
      ...chunk(0, 0, 30),
      ...chunk(2, 130, 1),
      [0, -1],
      ...chunk(3, 190, 40),
    ];
    await expectAttention({ dtype, ...shape, places: places as Place[] }, 12);
  });
});

test.each([
  { heads: 1, group: 2, size: 1030 }, // sums in two parts, and two features that are no four
  { heads: 1, group: 1, size: 2048 },
  { heads: 2, group: 4, size: 64, most: 2 ** -99 },
  { heads: 2, group: 4, size: 64, most: 2 ** -110, scale: 2 ** 100 }, // which count as 0, and would be seen
])("over an i8 cache: %j", async (shape) => {
  await expectAttention(
    {
      dtype: "i8",
      ...shape,
      places: [
        [0, 2],
        [0, 64],
        [1, 70],
      ] as Place[],
    },
    12,
  );
});

// The row alone shares its pages out over threads ("pages"), in a large step it is in a run ("rows"): kSplitUnits.
describe.each(setups())("$target, $threads threads", (setup) => {
  test.each(
    CACHE_DTYPES.flatMap((dtype) => [
      { dtype, heads: 1, group: 4, size: 20 },
      { dtype, heads: 3, group: 1, size: 16 },
      { dtype, heads: 1, group: 2, size: 8 },
    ]),
  )("%j: a row is the same alone, in a chunk and among other sequences", async (shape) => {
    const chunk = Array.from({ length: 66 }, (_, i): Place => [1, 140 + i]);
    const places: Place[] = [[0, 3], ...chunk, [-1, -1], [2, 63], [3, 64], [3, 65]];
    const scenario = { ...shape, places };
    const { inputs } = contentsOf(scenario);
    const width = shape.heads * shape.group * shape.size;
    const attend = async (rows: number[]) => {
      const pick = ({ data, shape: [, ...rest], ...contents }: Contents): Contents => {
        const length = rest.reduce((a, b) => a * b, 1);
        const picked = elements(contents.dtype, rows.length * length);
        for (const [i, t] of rows.entries()) picked.set(data.subarray(t * length, (t + 1) * length), i * length);
        return { ...contents, shape: [rows.length, ...rest], data: picked };
      };
      const some = { ...inputs, q: pick(inputs.q), slots: pick(inputs.slots), positions: pick(inputs.positions) };
      return (await runOp(setup, some, recordWith(shape.size))).outputs[0]!;
    };
    const all = await attend(places.map((_, t) => t));
    const others = [
      [0],
      [1],
      [45],
      [66],
      [69, 70],
      [0, 30, 68],
      [1, 2, 3, 4, 5, 6, 7, 67],
      [60, 61, 62, 63, 64, 65, 66, 67, 68],
    ];
    for (const rows of others) {
      const some = await attend(rows);
      rows.forEach((t, i) => {
        const expected = all.subarray(t * width, (t + 1) * width);
        expectSameBits(some.subarray(i * width, (i + 1) * width), expected, `row ${t} of rows ${rows}`);
      });
    }
  });
});

/** Places of 7 rows or of 71, so that pages are shared out, or walked in runs. */
const few: Place[] = [
  [0, 0],
  [0, 1],
  [1, 63],
  [1, 64],
  [1, 70],
  [-1, 9],
  [2, 130],
];
const many: Place[] = [...few, ...Array.from({ length: 64 }, (_, i): Place => [3, 100 + i])];

describe.each([
  ["pages", few, 20],
  ["rows", many, 20],
  ["rows, queries across the lanes", many, 8],
  ["pages, tensor cores of a GPU", few, 64],
  ["rows, tensor cores of a GPU", many, 64],
] as const)("in the form of %s", (_, places, size) => {
  const base = { heads: 1, group: 3, size, places };

  test.each(CACHE_DTYPES)("what no row sees may be anything: %s", async (dtype) => {
    const { inputs, table, shape, cache } = contentsOf({ ...base, dtype });
    const clean = await runOnEveryDevice(inputs, recordWith(size));
    const last = table.map((_, slot) => max(...places.filter(([s]) => s === slot).map(([, position]) => position)));
    for (let page = 0; page < shape.pages; page++) {
      const slot = table.findIndex((row) => row.includes(page));
      const block = slot < 0 ? 0 : table[slot]!.indexOf(page);
      for (let key = 0; key < 64; key++) {
        if (slot >= 0 && block * 64 + key <= last[slot]!) continue;
        const at = placeIn(shape, page, 0, key);
        const poison = { f32: Number.NaN, f16: 0x7e00, i8: 127 }[dtype];
        for (let c = 0; c < size; c++) cache.keys.data[at.key(c)] = cache.values.data[at.value + c] = poison;
        for (const scales of [cache.keyScales, cache.valueScales])
          scales?.data.fill(Number.NaN, at.scale, at.scale + 1);
      }
    }
    for (const [i, { device, outputs }] of (await runOnEveryDevice(inputs, recordWith(size))).entries())
      expectSameBits(outputs[0]!, clean[i]!.outputs[0]!, device);
  });

  test.each(
    [64, 66].flatMap((seen) =>
      (["keys", "values"] as const).flatMap((which) =>
        [Number.NaN, Number.POSITIVE_INFINITY].map((value) => ({ seen, which, value })),
      ),
    ),
  )("among the $which, $value at position $seen reaches the rows that see it, and no other", async (given) => {
    const { seen, which, value } = given;
    const { inputs, table, shape, cache, q } = contentsOf({ ...base, dtype: "f32" });
    const clean = (await runEverywhere(inputs, recordWith(size))).outputs[0]!;
    const at = placeIn(shape, table[1]![1]!, 0, seen); // a key of slot 1
    cache[which].data[which === "keys" ? at.key(0) : at.value] = value;
    const out = (await runEverywhere(inputs, recordWith(size))).outputs[0]!;
    for (let i = 0; i < out.length; i += size) {
      const [slot, position] = places[floor(i / (3 * size))]!;
      const head = out.slice(i, i + size);
      const finite = head.filter(Number.isFinite).length;
      if (slot !== 1 || position < seen) expectSameBits(head, clean.slice(i, i + size), `query ${i / size}`);
      else if (which === "values") expect(finite).toBe(size - 1);
      // A score of −∞ weighs nothing, unless its page has no other.
      else expect(finite).toBe(value === Number.POSITIVE_INFINITY && q.data[i]! < 0 && position === 70 ? size : 0);
    }
  });

  test.each(CACHE_DTYPES)("a query that is no number is its own row's and head's: %s", async (dtype) => {
    const { inputs, q } = contentsOf({ ...base, dtype });
    const clean = (await runEverywhere(inputs, recordWith(size))).outputs[0]!;
    q.data[3 * size + size + 5] = Number.NaN; // row 1, head 1
    const out = (await runEverywhere(inputs, recordWith(size))).outputs[0]!;
    out.forEach((value, i) => {
      if (i >= 4 * size && i < 5 * size) expect(value).toBeNaN();
      else if (value !== clean[i]) throw new Error(`element ${i}: expected ${clean[i]}, got ${value}`);
    });
  });

  test.each(CACHE_DTYPES)("a missing page of a visible position fails the run: %s", async (dtype) => {
    const { inputs } = contentsOf({ ...base, dtype });
    const blocks = inputs.pageTable.shape[1]!;
    (inputs.pageTable.data as Int32Array).set([-1], 1 * blocks + 1); // block 1 of slot 1
    await expectFailureEverywhere(inputs, recordWith(size), {
      code: "ERR_INTERNAL",
      message: expect.stringMatching(/attention, row [2-4]\) met an index that its operands do not allow/),
    });
  });

  test("a missing page that no row reaches does not matter", async () => {
    const { inputs } = contentsOf({ ...base, dtype: "f32" });
    const clean = await runEverywhere(inputs, recordWith(size));
    (inputs.pageTable.data as Int32Array).set([-1], 1); // block 1 of slot 0
    const { outputs } = await runEverywhere(inputs, recordWith(size));
    expectSameBits(outputs[0]!, clean.outputs[0]!, "out");
  });
});

// A GPU may begin a kernel before the one before it has ended.
test.each([
  { rows: 5, size: 64 },
  { rows: 20, size: 64 },
  { rows: 5, size: 32 },
])("of queries that the op before has made: %j", async ({ rows, size }) => {
  const places = Array.from({ length: rows }, (_, t): Place => [0, 300 + t]);
  const { inputs, q } = contentsOf({ dtype: "f16", heads: 2, group: 2, size, places });
  const zero = { ...q, data: new Float32Array(q.data.length) };
  const made = await runOnEveryDevice({ ...inputs, zero }, (r, { zero, ...values }) =>
    recordWith(size)(r, { ...values, q: r.add(values.q, zero) }),
  );
  for (const [i, { device, outputs }] of (await runOnEveryDevice(inputs, recordWith(size))).entries())
    expectSameBits(made[i]!.outputs[0]!, outputs[0]!, device);
});

test("scores far apart: the online maximum loses nothing, and far keys weigh nothing", async () => {
  // Keys are one-hot by page: page 0 scores −200, page 1 +200, page 2 −200; every value is its page.
  const [size, pages] = [3, 3];
  const shape = { dtype: "f32" as const, pages, heads: 1, size };
  const cache = randomCache(shape, () => 0);
  for (let page = 0; page < pages; page++) {
    for (let key = 0; key < 64; key++) {
      const at = placeIn(shape, page, 0, key);
      cache.keys.data[at.key(page)] = 1;
      cache.values.data[at.value] = page;
    }
  }
  const q = f32(
    [1, size],
    [-200, 200, -200].map((x) => x * sqrt(3)),
  );
  const inputs = { q, ...rowContents([[0, 191]], [[0, 1, 2]], pages), ...cache } as unknown as Inputs;
  const { outputs } = await runEverywhere(inputs, recordWith(size));
  expect([...outputs[0]!]).toEqual([1, 0, 0]);
});

test("−0 stays −0 in rows beside one that sees another page", async () => {
  // Page 0 comes to −2⁻¹⁴⁹, of which page 1, with greater scores and no values, leaves −0.3 · 2⁻¹⁴⁹; row 1 sees a key of page 2.
  const [size, group] = [4, 4];
  const shape = { dtype: "f32" as const, pages: 3, heads: 1, size };
  const cache = randomCache(shape, () => 0);
  cache.values.data[placeIn(shape, 0, 0, 0).value] = -(2 ** -149);
  for (let key = 0; key < 64; key++) cache.keys.data[placeIn(shape, 1, 0, key).key(0)] = 1.2;
  const places: Place[] = [[0, 127], [0, 128], ...Array.from({ length: 70 }, (): Place => [-1, -1])];
  const width = group * size;
  const q = f32([places.length, width], new Array(places.length * width).fill(1));
  const inputs = { q, ...rowContents(places, [[0, 1, 2]], 3), ...cache } as unknown as Inputs;
  const { outputs } = await runEverywhere(inputs, recordWith(size, 1));
  for (let head = 0; head < group; head++) expect(outputs[0]![head * size]).toBe(-0);
});

test("positions up to the end of the last page; contexts of many pages", async () => {
  const places: Place[] = [
    [0, 64 * 11 - 1],
    [0, 64 * 17 - 1],
    [1, 64 * 9],
  ];
  await expectAttention({ dtype: "f16", heads: 2, group: 2, size: 8, places }, 12);
});

// A weight is seen as far as exp reaches: beside a key of weight 1 whose value is 0, a key far below it has a value that is large enough.
test.each([10, 40, 79, 81, 87, 95, 103])("a key %i below the greatest still counts", async (below) => {
  const VALUE = 2 ** 127;
  const page = (values: number[]) => f32([1, 1, 1, 64], [...values, ...new Array(62).fill(0)]);
  const keys = page([0, -below]);
  const values = { ...page([0, VALUE]), shape: [1, 1, 64, 1] };
  const inputs = { q: f32([1, 1], [1]), ...rowContents([[0, 1]], [[0]], 1), keys, values } as unknown as Inputs;
  const out = (await runEverywhere(inputs, recordWith(1))).outputs[0]!;
  const weight = Math.exp(-below);
  // One ulp of exp, which has fewer bits where it is not normal, and the rounding of sum and quotient.
  const bound = VALUE * (max(weight * 2 ** -23, 2 ** -149) + weight * 2 ** -22);
  expectWithin(out, [(VALUE * weight) / (1 + weight)], () => bound, "out");
});

// Runs every kernel of native/cuda on the emulator at small shapes, for QUIPU_SIMT_RECORD to keep the launches (native/simt/recording.h): what
// scripts/check-cuda.js has the PTX of nvcc do again. Shapes have parts of everything: of a section, of a tile, of a page, of a superblock.
// QUIPU_LAUNCH_SHAPES=3 is for proofs: of everything that does not go by contents smaller shapes, too.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Device, openDevice } from "#quipu/device/device.js";
import type { Tensor } from "#quipu/device/tensor.js";
import { compile } from "#quipu/graph/program.js";
import { type CacheState, Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { chooseTarget } from "#quipu/machine/machine.js";
import { quantize } from "#quipu/model/packed-weights.js";
import { inverseFrequencies } from "#quipu/model/rope.js";
import { CACHE_DTYPES, type CacheDType, type Place, randomCache, rowContents } from "../kernels/cache.js";
import { type Contents, i32, randomF32, randomNumbers, stored, WEIGHT_DTYPES } from "../kernels/contents.js";
import { FORMATS, type Format } from "../kernels/matrices.js";
import { PLAIN, type Settings } from "../kernels/sample-reference.js";
import { recordSample, sampleInputs } from "../kernels/sample-rows.js";

type Inputs = Readonly<Record<string, Contents | Tensor>>;
type RecordOps = (r: Recorder, values: Readonly<Record<string, Value>>) => unknown;

const EPSILON = 1e-5;
const SHAPES = Number(process.env.QUIPU_LAUNCH_SHAPES ?? 1);
/**
 * Depths, and rows of products: five sections of dense weights, the last a part; three superblocks, the last a part with a part of a block. Ten
 * tiles, so that blocks have two: the emulator's GPU has room for eight blocks.
 */
const PRODUCTS = [
  { depth: 600, features: 149 },
  { depth: 264, features: 40 },
  { depth: 72, features: 83 },
].slice(0, SHAPES);
const VOCABULARIES = [1300, 700, 513].slice(0, SHAPES);
/** Rows and their elements. */
const ROWS = [
  [7, 300],
  [3, 640],
  [2, 60],
].slice(0, SHAPES) as [number, number][];
/** Tokens: narrowed by every block, then tiles of 8, 16 and 32, then blocks of 64. */
const TOKENS = [2, 5, 12, 20, 70];

const simt = openDevice({ device: "simt" });
const cpu = new Device("cpu", chooseTarget(), 1);
const folder = mkdtempSync(join(tmpdir(), "quipu-launches-"));
const next = randomNumbers(14);

/** Runs what `record` records over inputs that are written first, but for those that are on the device already. */
async function run(inputs: Inputs, record: RecordOps): Promise<void> {
  const recorder = new Recorder();
  const writes: [Tensor, Contents["data"]][] = [];
  const tensors = Object.entries(inputs).map(([name, input]) => {
    if ("buffer" in input) return [name, input] as const;
    const tensor = simt.allocate(name, input.dtype, input.shape, input.bound);
    if (input.data.length > 0) writes.push([tensor, input.data]);
    return [name, tensor] as const;
  });
  record(recorder, Object.fromEntries(tensors.map(([name, tensor]) => [name, recorder.input(tensor)])));
  const program = compile(simt, recorder.finish(), { passes: [] });
  await simt.run(null, { writes });
  await program.run();
}

/** A matrix of weights on the device, as a model's come there. */
async function matrix(format: Format, rows: number, depth: number): Promise<Tensor> {
  const random = randomF32(next, [rows, depth]);
  const dtype = WEIGHT_DTYPES.find((each) => each === format);
  if (dtype !== undefined) {
    const { data, shape } = stored(dtype, random).contents;
    const path = join(folder, "weights");
    writeFileSync(path, new Uint8Array(data.buffer));
    const file = await simt.open(path, data.byteLength, { mmap: false });
    const [tensor] = simt.place("weights", { file, offset: 0, dtype, shape }, ["product"]);
    file.dispose();
    return tensor;
  }
  const source = cpu.allocate("weights", "f32", [rows, depth]);
  await cpu.run(null, { writes: [[source, random.data]] });
  const target = cpu.allocate("packed", format, [rows, depth]);
  await quantize(cpu, source, target, undefined);
  return simt.take(target, cpu);
}

const norm = (width: number) => stored("bf16", randomF32(next, [width])).contents;
const cacheIn = (values: Readonly<Record<string, Value>>) => values as unknown as CacheState<Value>;

/** Slots 0 and 1 by turns, from `first` on, and a row of padding. */
const placesOf = (rows: number, first: number): Place[] =>
  Array.from({ length: rows }, (_, t): Place => (t === 3 ? [-1, 3] : [t % 2, first + t]));

/** Rows of two slots with pages for 320 keys each, and a cache. */
function placed(dtype: CacheDType, heads: number, size: number, places: readonly Place[]) {
  const table = [
    [4, 0, 9, 7, 2],
    [5, 11, 1, 8, 3],
  ];
  return { ...rowContents(places, table, 12), ...randomCache({ dtype, pages: 12, heads, size }, next) };
}

async function products(format: Format, tokens: number, { depth, features } = PRODUCTS[0]!): Promise<void> {
  const [gates, heads, half] = [Math.ceil(features / 2), 1, 16];
  await run(
    {
      a: randomF32(next, [tokens, depth]),
      b: await matrix(format, features, depth),
      x: randomF32(next, [tokens, features]),
    },
    (r, { a, b, x }) => r.output(r.record("matmulAdd", { a: a!, b: b!, residual: x! }).out!),
  );
  const [gate, up] = [await matrix(format, gates, depth), await matrix(format, gates, depth)];
  await run({ x: randomF32(next, [tokens, depth], 3), norm: norm(depth), gate, up }, (r, values) =>
    r.output(r.record("normMatmulSwiglu", values, { epsilon: EPSILON }).out!),
  );
  const inputs = {
    x: randomF32(next, [tokens, depth], 3),
    norm: norm(depth),
    query: await matrix(format, 3 * heads * 2 * half, depth),
    key: await matrix(format, heads * 2 * half, depth),
    value: await matrix(format, heads * 2 * half, depth),
    angles: randomF32(next, [tokens, half, 2]),
    ...placed("f16", heads, 2 * half, placesOf(tokens, 40)),
  };
  await run(inputs, (r, values) => r.output(r.record("normQkv", values, { epsilon: EPSILON }).out!));
}

/** Two tokens of the depth of an 8B model, which every block narrows for itself: the most shared memory. */
async function deep(format: Format): Promise<void> {
  const depth = 4096;
  await run({ a: randomF32(next, [2, depth]), b: await matrix(format, 16, depth) }, (r, { a, b }) =>
    r.output(r.matmul(a!, b!)),
  );
}

/** Decoding beside a prompt that has begun: some rows see one chunk of keys, some two. */
async function attention(dtype: CacheDType, size: number, group: number, rows: number): Promise<void> {
  const places = Array.from(
    { length: rows },
    (_, t): Place => (t === 3 ? [-1, 3] : [t % 2, t % 2 === 0 ? 255 + t : t]),
  );
  const heads = 2;
  const inputs = { q: randomF32(next, [rows, heads * group * size], 4), ...placed(dtype, heads, size, places) };
  await run(inputs as Inputs, (r, values) =>
    r.output(r.attention(values.q!, cacheIn(values), values as never, 1 / Math.sqrt(size))),
  );
}

async function cacheRows(dtype: CacheDType): Promise<void> {
  const [heads, size, rows] = [2, 32, 5];
  const inputs = {
    k: randomF32(next, [rows, heads * size]),
    v: randomF32(next, [rows, heads * size]),
    ...placed(dtype, heads, size, placesOf(rows, 62)),
  };
  await run(inputs as Inputs, (r, values) => r.appendKv(values.k!, values.v!, cacheIn(values), values as never));
}

async function samples(vocabulary: number): Promise<void> {
  const requests: (Partial<Settings> | null)[] = [
    {},
    { temperature: 0.8, topK: 20, seedLow: 7 },
    { temperature: 1.1, topP: 0.9, repeatPenalty: 1.2, biases: [[3, 2]] },
    null,
    { temperature: 0.5, minP: 0.05, presencePenalty: 0.3, frequencyPenalty: 0.1 },
  ];
  const rows = requests.map((settings) => ({
    logits: randomF32(next, [vocabulary], 6).data.map((x) => Math.round(x * 16) / 16), // with equal ones
    settings: settings && { ...PLAIN, ...settings },
    history: [1, 5, 1, 9],
    position: 3,
  }));
  for (const [count, best] of [
    [5, 1],
    [2, 3],
  ] as const)
    await run(sampleInputs(rows.slice(0, count)), (r, values) =>
      recordSample(best)(r, values as never).map((v) => r.output(v)),
    );
}

async function elementwise([rows, width]: [number, number]): Promise<void> {
  const half = width / 10;
  const x = randomF32(next, [rows, width]);
  await run({ x, y: randomF32(next, [rows, width]) }, (r, { x, y }) => {
    r.output(r.add(x!, y!));
    r.output(r.swiglu(x!, y!));
  });
  await run({ x, weight: norm(width) }, (r, { x, weight }) => r.output(r.rmsNorm(x!, weight!, EPSILON)));
  const positions = i32([rows], [0, 1, 2, 77, 131071, -1, 5].slice(0, rows));
  const frequencies = {
    dtype: "f32",
    shape: [half],
    data: Float32Array.from(inverseFrequencies({ theta: 500_000 }, 2 * half)),
  } as const;
  await run({ x, positions, frequencies }, (r, { x, positions, frequencies }) =>
    r.output(r.rope(x!, r.ropeAngles(positions!, frequencies!))),
  );
  for (const format of FORMATS) {
    const ids = i32([4], [3, -1, 18, 7]);
    await run({ table: await matrix(format, 19, width), ids, weight: norm(width) }, (r, { table, ids, weight }) => {
      r.output(r.record("gatherNorm", { table: table!, ids: ids!, weight: weight! }, { epsilon: EPSILON }).out!);
      r.output(r.gatherRows(table!, ids!));
    });
  }
}

async function steps(): Promise<void> {
  const [slots, context] = [3, 9];
  const rows = { ids: [5, 6, 7, 7, 7], slots: [2, 2, 0, 1, -1], positions: [0, 1, -1, -1, 4] };
  const zeros = [0, 0, 0, 0, 0];
  await run(
    {
      rowIds: i32([5], rows.ids),
      rowSlots: i32([5], rows.slots, slots),
      rowPositions: i32([5], rows.positions),
      lastIds: i32([slots], [40, 41, 42]),
      nextPositions: i32([slots], [8, -1, 3], context),
      ids: i32([5], zeros),
      slots: i32([5], zeros, slots),
      positions: i32([5], zeros, context),
    },
    (r, values) => r.resume(values as never),
  );
  await run(
    {
      sampled: i32([4], [7, 8, -1, 5]),
      outputRows: i32([4], [0, 1, 2, -1], 3),
      slots: i32([3], [0, 1, 2], slots),
      positions: i32([3], [0, 1, 3], context),
      stops: i32([slots, 2], [2, 3, 8, -1, -1, -1]),
      lastIds: i32([slots], [1, 2, 3]),
      nextPositions: i32([slots], [0, 1, 3], context),
      history: i32([slots, context], new Array(slots * context).fill(-1), 50),
    },
    (r, { sampled, ...state }) => r.advance(sampled!, state as never),
  );
}

for (const format of FORMATS) {
  for (const shape of PRODUCTS)
    for (const tokens of format === "f32" ? [11] : TOKENS) await products(format, tokens, shape);
  if (format !== "f32") await deep(format);
}
for (const rows of [5, 20]) for (const size of [64, 128]) await attention("f16", size, rows === 5 ? 3 : 2, rows);
for (const dtype of CACHE_DTYPES) {
  await attention(dtype, 32, 2, 5);
  await cacheRows(dtype);
}
for (const vocabulary of VOCABULARIES) await samples(vocabulary);
for (const shape of ROWS) await elementwise(shape);
await steps();
rmSync(folder, { recursive: true });
await simt.dispose();
await cpu.dispose();

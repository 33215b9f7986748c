// Runs one op with given contents. Two things are expected of devices: the CPU gives the same bits on every instruction set and
// thread count (runEverywhere: docs/numerics.md), and every device stays within the bound that the test derives
// (runOnEveryDevice), or gives those bits too where nothing is rounded, or once (runExactly).
//
// Every operand and result lies between guards of 0xff bytes, which are NaN, index −1 or −1: a kernel that reads past an
// end shows NaN, one that writes there is caught. Where a tensor starts in its buffer depends on the thread count: at a cache
// line with one thread, at odd elements with others, as weights lie in a mapped file.
import { Device, openDevice, type RowFailure } from "#quipu/device/device.js";
import { FORMATS } from "#quipu/device/formats.js";
import { bytesOf, type DType, type Tensor } from "#quipu/device/tensor.js";
import type { OpName } from "#quipu/graph/ops.js";
import { compile } from "#quipu/graph/program.js";
import { Recorder } from "#quipu/graph/recorder.js";
import type { RowCount, RowCounts, Value } from "#quipu/graph/recording.js";
import { availableTargets } from "#quipu/machine/machine.js";
import { type Contents, type Elements, elements, sizeOf } from "./contents.js";

const others = process.env.QUIPU_CPU ? [process.env.QUIPU_CPU] : availableTargets();
/** The scalar definition and then every other instruction set that this machine can run, or the one of QUIPU_CPU. */
export const TARGETS = ["scalar", ...others.filter((target) => target !== "scalar")];
/** Under sanitizers, which are slow, without two: both places where a tensor may begin, and work that is shared. */
export const THREADS = process.env.QUIPU_SANITIZED === "1" ? [1, 3] : [1, 2, 3];

type OtherDevice = "reference" | "cuda" | "simt";

/** Devices whose bits are their own: "reference", and those that QUIPU_TEST_DEVICES names, with commas between. */
export const OTHER_DEVICES: readonly OtherDevice[] = [
  "reference",
  ...((process.env.QUIPU_TEST_DEVICES?.split(",") ?? []) as OtherDevice[]),
];

/** Ops that native/cuda has no kernels of: the CPU packs weights for it, and models are trained on the CPU. */
export const CPU_OPS: ReadonlySet<OpName> = new Set<OpName>([
  ...(["quantize", "matmulPlain", "matmulOverRows", "accumulate", "scatterAddRows", "rmsNormBackward"] as const),
  ...(["ropeBackward", "swigluBackward", "attentionBackward", "crossEntropy", "tokenLogprobs"] as const),
  ...(["sumSquares", "clipNorm", "adamW", "nesterov", "divideByNorm", "combine", "transpose"] as const),
  ...(["norMuon", "movingAverage"] as const),
]);

/** Whether a device runs the kernels of native/cuda: on a GPU, or on the emulator of one. */
export const isCuda = (device: string) => device === "cuda" || device === "simt";

/**
 * Roundings of a device's own in a product of `depth`: as a share of Σ |a · b|, beside those of f32 that a test allows all devices. A GPU
 * narrows activations to what its tensor cores take, and adds up in longer chains.
 */
export function ownRoundings(device: string, dtype: DType, depth: number): number {
  if (!isCuda(device)) return 0;
  const narrowed = { f32: 0, bf16: 0, f16: 2 ** -11 } as Partial<Record<DType, number>>;
  return (narrowed[dtype] ?? 2 ** -11) + 2 * depth * 2 ** -24;
}

/** Devices that can run an op over such inputs: weights are packed by the CPU alone, and by the reference. */
function devicesFor(inputs: Readonly<Record<string, Contents>>): readonly OtherDevice[] {
  const isPacked = Object.values(inputs).some(({ dtype }) => FORMATS[dtype].block.rows > 1);
  return OTHER_DEVICES.filter((device) => !isCuda(device) || !isPacked);
}

/** Kernels of the CPU, or another device; with a list to which rows that fail alone are added. */
export type Setup = ({ readonly target: string; readonly threads: number } | { readonly device: OtherDevice }) & {
  readonly byRow?: RowFailure[];
  /** Rows of the run; default: as many as the inputs have. */
  readonly counts?: RowCounts;
};

export interface Ran<Name extends string> {
  /** In the order in which they were recorded. */
  readonly outputs: Elements[];
  /** The inputs' contents afterwards: state that the op has written in place. */
  readonly state: Record<Name, Elements>;
}

type RecordOp<Name extends string> = (recorder: Recorder, inputs: Readonly<Record<Name, Value>>) => readonly Value[];

/** Runs what `record` records over `inputs`. */
export async function runOp<Name extends string>(
  setup: Setup,
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
): Promise<Ran<Name>> {
  const device =
    "device" in setup ? openDevice({ device: setup.device }) : new Device("cpu", setup.target, setup.threads);
  try {
    const given = mapValues(inputs, ({ dtype, shape, bound, data }, name) =>
      guarded(device, name, dtype, shape, data, bound),
    );
    const most = (leading: RowCount) =>
      (Object.values(inputs) as Contents[]).find((input) => input.leading === leading)?.shape[0] ?? 0;
    const recorder = new Recorder({ capacity: { rows: most("rows"), wanted: most("wanted") } });
    const before = isCuda(device.kind) ? recordBefore(device, recorder) : [];
    const values = mapValues(given, ({ tensor }, name) => recorder.input(tensor, inputs[name].leading));
    const made = record(recorder, values).map((value) => {
      recorder.output(value);
      return { value, ...guarded(device, value.name, value.dtype, value.shape) };
    });
    const places = new Map([...before, ...made.map(({ value, tensor }) => [value, tensor] as const)]);
    const program = compile(device, recorder.finish(), { passes: [], places });
    const all = [...made, ...(Object.values(given) as Guarded[])].filter(({ contents }) => contents.length > 0);
    await device.run(null, { writes: all.map(({ whole, contents }) => [whole, contents]) });
    const failure = await program.run({ byRow: setup.byRow !== undefined, ...setup.counts }).then(
      ({ failures }) => void setup.byRow?.push(...failures),
      (error: unknown) => error,
    );
    await device.run(null, { reads: all.map(({ whole, contents }) => [whole, contents]) });
    for (const { tensor, contents, start, size } of all) expectGuards(tensor.name, contents, start, size);
    if (failure !== undefined) throw failure;
    const inner = ({ contents, start, size }: Guarded) => contents.slice(start, start + size);
    return { outputs: made.map(inner), state: mapValues(given, inner) };
  } finally {
    await device.dispose();
  }
}

/** A product before the op, which may begin before it has ended: kernels that do not wait for what is before them are seen on the emulator. */
function recordBefore(device: Device, recorder: Recorder): readonly (readonly [Value, Tensor])[] {
  const of = (name: string, dtype: DType, shape: readonly number[]) => device.allocate(name, dtype, shape);
  const product = recorder.matmul(recorder.input(of("a", "f32", [1, 8])), recorder.input(of("b", "f16", [1, 8])));
  recorder.output(product);
  return [[product, of("product", "f32", [1, 1])]];
}

/** Runs on every target at every thread count and expects the same bits everywhere; returns what the scalar target gave. */
export async function runEverywhere<Name extends string>(
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
): Promise<Ran<Name>> {
  const definition = await runOp({ target: "scalar", threads: 1 }, inputs, record);
  for (const { target, threads } of setups().slice(1)) {
    const { outputs, state } = await runOp({ target, threads }, inputs, record);
    const where = `${target}, ${threads} threads`;
    outputs.forEach((output, i) => {
      expectSameBits(output, definition.outputs[i]!, `output ${i} (${where})`);
    });
    for (const name of Object.keys(inputs) as Name[])
      expectSameBits(state[name], definition.state[name], `${name} (${where})`);
  }
  return definition;
}

/** What the CPU gives, the same bits on every target, and what every other device gives: for {@link expectWithin}. */
export async function runOnEveryDevice<Name extends string>(
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
): Promise<(Ran<Name> & { readonly device: string })[]> {
  const results = [{ device: "cpu", ...(await runEverywhere(inputs, record)) }];
  for (const device of devicesFor(inputs)) results.push({ device, ...(await runOp({ device }, inputs, record)) });
  return results;
}

/** The same of the devices that have kernels of training: the CPU and the reference. */
export async function runOnEveryTrainer<Name extends string>(
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
): Promise<(Ran<Name> & { readonly device: string })[]> {
  const reference = await runOp({ device: "reference" }, inputs, record);
  return [
    { device: "cpu", ...(await runEverywhere(inputs, record)) },
    { device: "reference", ...reference },
  ];
}

/** Expects the same bits of every device, too. */
export async function runExactly<Name extends string>(
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
): Promise<Ran<Name>> {
  const [cpu, ...others] = await runOnEveryDevice(inputs, record);
  for (const { device, outputs, state } of others) {
    outputs.forEach((output, i) => {
      expectSameBits(output, cpu!.outputs[i]!, `output ${i} (${device})`);
    });
    for (const name of Object.keys(inputs) as Name[])
      expectSameBits(state[name], cpu!.state[name], `${name} (${device})`);
  }
  return cpu!;
}

/** Expects that the run fails alike everywhere, on every device, and that it stays inside its memory. */
export async function expectFailureEverywhere<Name extends string>(
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
  failure: { code: string; message?: string },
) {
  for (const setup of [...setups(), ...devicesFor(inputs).map((device) => ({ device }))])
    await expect(runOp(setup, inputs, record)).rejects.toMatchObject(failure);
}

export function setups(): { target: string; threads: number }[] {
  return TARGETS.flatMap((target) => THREADS.map((threads) => ({ target, threads })));
}

/** The same elements, bit for bit; but a NaN is a NaN. */
export function expectSameBits(actual: Elements, expected: Elements, what: string) {
  if (actual.length !== expected.length)
    throw new Error(`${what}: expected ${expected.length} elements, got ${actual.length}`);
  if (Buffer.compare(bytesIn(actual), bytesIn(expected)) === 0) return;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i])) continue;
    throw new Error(`${what}: element ${i} of ${expected.length}: expected ${expected[i]}, got ${actual[i]}`);
  }
}

/** |actual − reference| ≤ bound, element by element; NaN and infinities only where the reference has them. */
export function expectWithin(
  actual: Elements,
  reference: ArrayLike<number>,
  bound: (index: number) => number,
  what: string,
) {
  if (actual.length !== reference.length) throw new Error(`${what}: ${actual.length} elements of ${reference.length}`);
  for (let i = 0; i < actual.length; i++) {
    if (Object.is(actual[i], reference[i]) || Math.abs(actual[i]! - reference[i]!) <= bound(i)) continue;
    throw new Error(`${what}: element ${i}: expected ${reference[i]} ± ${bound(i)}, got ${actual[i]}`);
  }
}

const bytesIn = (data: Elements) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

interface Guarded {
  readonly tensor: Tensor;
  /** The tensor with its guards. */
  readonly whole: Tensor;
  readonly contents: Elements;
  readonly start: number;
  readonly size: number;
}

const GUARD = 64;

function guarded(
  device: Device,
  name: string,
  dtype: DType,
  shape: readonly number[],
  data?: Elements,
  bound = 0,
): Guarded {
  if (FORMATS[dtype].block.rows > 1) {
    const tensor = device.allocate(name, dtype, shape);
    return { tensor, whole: tensor, contents: new Int8Array(0), start: 0, size: 0 };
  }
  const size = sizeOf(shape);
  const width = bytesOf(dtype, [1]);
  const start = device.threads === 1 ? 64 / width : 2 * device.threads - 3;
  const whole = device.allocate(name, dtype, [start + size + GUARD], bound);
  const contents = elements(dtype, start + size + GUARD);
  new Uint8Array(contents.buffer).fill(0xff);
  if (data !== undefined) contents.set(data, start);
  return { tensor: { ...whole, offset: start * width, shape }, whole, contents, start, size };
}

function expectGuards(name: string, contents: Elements, start: number, size: number) {
  const width = contents.BYTES_PER_ELEMENT;
  const before = new Uint8Array(contents.buffer, 0, start * width);
  const after = new Uint8Array(contents.buffer, (start + size) * width);
  if (before.every((byte) => byte === 0xff) && after.every((byte) => byte === 0xff)) return;
  throw new Error(`${name}: memory beside its ${size} elements was overwritten`);
}

function mapValues<Name extends string, A, B>(
  record: Readonly<Record<Name, A>>,
  map: (value: A, name: Name) => B,
): Record<Name, B> {
  return Object.fromEntries(
    (Object.entries(record) as [Name, A][]).map(([name, value]) => [name, map(value, name)]),
  ) as Record<Name, B>;
}

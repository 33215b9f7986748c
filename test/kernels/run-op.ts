// Runs one op with given contents: on one instruction set, or on every one of this machine at several thread counts, which
// must all give the scalar target's bits (docs/numerics.md).
//
// Every operand and result lies between guards of 0xff bytes, which are NaN, index −1 or −1: a kernel that reads past an
// end shows NaN, one that writes there is caught. Where a tensor starts in its buffer depends on the thread count: at a cache
// line with one thread, at odd elements with others, as weights lie in a mapped file.
import { Device } from "#quipu/device/device.js";
import { availableTargets } from "#quipu/device/machine.js";
import { DTYPE_BYTES, type DType, type Tensor } from "#quipu/device/tensor.js";
import { planMemory } from "#quipu/graph/passes/plan-memory.js";
import { Program } from "#quipu/graph/program.js";
import { Recorder, type Value } from "#quipu/graph/recorder.js";
import { type Contents, type Elements, elements, sizeOf } from "./contents.js";

/** Every instruction set that this machine can run, the scalar definition first. */
export const TARGETS = ["scalar", ...availableTargets().filter((target) => target !== "scalar")];
export const THREADS = [1, 2, 3];

export interface Ran<Name extends string> {
  /** In the order in which they were recorded. */
  readonly outputs: Elements[];
  /** The inputs' contents afterwards: state that the op has written in place. */
  readonly state: Record<Name, Elements>;
}

type RecordOp<Name extends string> = (recorder: Recorder, inputs: Readonly<Record<Name, Value>>) => readonly Value[];

/** Runs what `record` records over `inputs`. */
export async function runOp<Name extends string>(
  { target, threads }: { target: string; threads: number },
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
): Promise<Ran<Name>> {
  const device = new Device(target, threads);
  try {
    const given = mapValues(inputs, ({ dtype, shape, bound, data }, name) =>
      guarded(device, name, dtype, shape, data, bound),
    );
    const recorder = new Recorder();
    const values = mapValues(given, ({ tensor }) => recorder.input(tensor));
    const made = record(recorder, values).map((value) => {
      recorder.output(value);
      return { value, ...guarded(device, value.name, value.dtype, value.shape) };
    });
    const recording = recorder.finish();
    const places = new Map(made.map(({ value, tensor }) => [value.id, tensor]));
    const program = new Program(device, recording, planMemory(recording), places);
    const all: Guarded[] = [...made, ...(Object.values(given) as Guarded[])];
    await device.run(null, { writes: all.map(({ whole, contents }) => [whole, contents]) });
    const failure = await program.run().then(
      () => undefined,
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

/** Expects that the run fails alike everywhere, and that it stays inside its memory. */
export async function expectFailureEverywhere<Name extends string>(
  inputs: Readonly<Record<Name, Contents>>,
  record: RecordOp<Name>,
  failure: { code: string; message?: string },
) {
  for (const setup of setups()) await expect(runOp(setup, inputs, record)).rejects.toMatchObject(failure);
}

export function setups(): { target: string; threads: number }[] {
  return TARGETS.flatMap((target) => THREADS.map((threads) => ({ target, threads })));
}

/** The same elements, bit for bit; but a NaN is a NaN. */
export function expectSameBits(actual: Elements, expected: Elements, what: string) {
  if (actual.length !== expected.length)
    throw new Error(`${what}: expected ${expected.length} elements, got ${actual.length}`);
  if (Buffer.compare(bytesOf(actual), bytesOf(expected)) === 0) return;
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

const bytesOf = (data: Elements) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

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
  const size = sizeOf(shape);
  const start = device.threads === 1 ? 64 / DTYPE_BYTES[dtype] : 2 * device.threads - 3;
  const whole = device.allocate(name, dtype, [start + size + GUARD], bound);
  const contents = elements(dtype, start + size + GUARD);
  new Uint8Array(contents.buffer).fill(0xff);
  if (data !== undefined) contents.set(data, start);
  return { tensor: { ...whole, offset: start * DTYPE_BYTES[dtype], shape }, whole, contents, start, size };
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

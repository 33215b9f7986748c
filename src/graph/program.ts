// From a recording to a program of a device: passes rewrite it, planMemory gives its values memory, and it is written as the
// flat stream of 32-bit words that native code checks once and keeps (its form: native/core/program.h).
import type { NativeBuffer, NativeProgram } from "../addon/addon-types.js";
import type { ProgramDevice, RunOptions, RunResult } from "../device/device.js";
import { FORMATS } from "../device/formats.js";
import { formatShape, overlap, type Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { opRow } from "./ops.js";
import { fuse } from "./passes/fuse.js";
import { type MemoryPlan, planMemory } from "./passes/plan-memory.js";
import type { Pass, RecordedOp, Recording, RowCount, RowCounts, Value } from "./recording.js";
import { signatureOf } from "./signatures.js";

const MAGIC = 0x51554950;
const VERSION = 2;
const ARENA = 0xffffffff;
const LEADING_CODES: Readonly<Record<RowCount, number>> = { rows: 1, wanted: 2 }; // 0: no dim is a run's

export interface Encoded {
  readonly stream: Uint32Array;
  readonly buffers: NativeBuffer[];
}

/** Writes `recording` as a stream. `places` holds the tensors of its outputs, by value id. */
export function encode(recording: Recording, plan: MemoryPlan, places: ReadonlyMap<number, Tensor>): Encoded {
  const buffers: NativeBuffer[] = [];
  const bufferIndex = new Map<NativeBuffer, number>();
  const tensorWords: number[] = [];
  /** By the tensor where there is one, as all versions of a state lie at its place; else by the value's id. */
  const tensorIndex = new Map<Tensor | number, number>();

  const indexOfBuffer = (buffer: NativeBuffer) => {
    let index = bufferIndex.get(buffer);
    if (index === undefined) {
      index = buffers.push(buffer) - 1;
      bufferIndex.set(buffer, index);
    }
    return index;
  };
  const indexOfTensor = (value: Value) => {
    const tensor = value.tensor ?? places.get(value.id);
    const known = tensorIndex.get(tensor ?? value.id);
    if (known !== undefined) return known;
    const buffer = tensor === undefined ? ARENA : indexOfBuffer(tensor.buffer);
    const offset = tensor === undefined ? plan.offsets.get(value.id) : tensor.offset;
    if (offset === undefined) throw new QuipuError("ERR_INTERNAL", `${value.name} (value ${value.id}) has no place`);
    const dims = [...value.shape, 1, 1, 1, 1].slice(0, 4);
    if (dims.some((size) => size >= 2 ** 32)) {
      throw new QuipuError("ERR_INTERNAL", `${value.name} [${value.shape.join(", ")}]: expected sizes below 2³²`);
    }
    tensorWords.push(buffer, offset % 2 ** 32, Math.floor(offset / 2 ** 32));
    const leading = value.leading === undefined ? 0 : LEADING_CODES[value.leading];
    tensorWords.push(FORMATS[value.dtype].code, value.shape.length, leading, ...dims);
    const index = tensorIndex.size;
    tensorIndex.set(tensor ?? value.id, index);
    return index;
  };

  const opWords: number[] = [];
  for (const op of recording.ops) {
    const row = opRow(op.op);
    const operands = streamOrder(op).map(indexOfTensor);
    const attributes = Object.entries(row.attributes ?? {}).map(([name, type]) => {
      const value = op.attributes[name];
      if (value === undefined) throw new QuipuError("ERR_INTERNAL", `${op.op}: attribute ${name} is missing`);
      return type === "f32" ? floatBits(value) : value;
    });
    opWords.push(row.code, operands.length, attributes.length, ...operands, ...attributes);
  }
  const { arenaBytes } = plan;
  const { rows, wanted } = recording.capacity;
  const header = [
    MAGIC,
    VERSION,
    arenaBytes % 2 ** 32,
    Math.floor(arenaBytes / 2 ** 32),
    rows,
    wanted,
    tensorIndex.size,
    recording.ops.length,
  ];
  return { stream: Uint32Array.from([...header, ...tensorWords, ...opWords]), buffers };
}

/** What the op reads and what it makes; new versions of state are where the state is. */
function streamOrder({ op, operands, results }: RecordedOp): Value[] {
  const values = signatureOf(op).operands.map(({ name, role }) => (role === "result" ? results[name] : operands[name]));
  return values.filter((value) => value !== undefined);
}

const bits = new DataView(new ArrayBuffer(4));

function floatBits(x: number): number {
  bits.setFloat32(0, x);
  return bits.getUint32(0);
}

/** A recording made ready for a device. */
export class Program {
  readonly #device: ProgramDevice;
  readonly #native: NativeProgram;
  readonly #capacity: RowCounts;
  readonly #outputs: ReadonlyMap<number, Tensor>;
  readonly #owned: readonly Tensor[];

  /** Made by {@link compile}. `outputs`: where those of the recording lie, by value id; `owned`: those that go with the program. */
  constructor(
    device: ProgramDevice,
    native: NativeProgram,
    capacity: RowCounts,
    outputs: ReadonlyMap<number, Tensor>,
    owned: readonly Tensor[],
  ) {
    this.#device = device;
    this.#native = native;
    this.#capacity = capacity;
    this.#outputs = outputs;
    this.#owned = owned;
  }

  /** Where an output of the recording lies. */
  output(value: Value): Tensor {
    const tensor = this.#outputs.get(value.id);
    if (tensor === undefined) throw new QuipuError("ERR_INTERNAL", `${value.name} is not an output of this program`);
    return tensor;
  }

  /** Runs on the device's queue, with as many rows as it is made for where `options` say nothing of them; see {@link Device.run}. */
  run(options: RunOptions = {}): Promise<RunResult> {
    const whole = options.rows === undefined && options.wanted === undefined;
    return this.#device.run(this.#native, whole ? { ...options, ...this.#capacity } : options);
  }

  /** Gives up the program and the memory of its outputs, once no run needs them. */
  dispose(): void {
    this.#native.dispose();
    for (const tensor of this.#owned) this.#device.free(tensor);
  }
}

export interface CompileOptions {
  /** What rewrites the recording, in this order; default: the fusions of the device. */
  readonly passes?: readonly Pass[];
  /** Where outputs lie; the others get memory that goes with the program. */
  readonly places?: ReadonlyMap<Value, Tensor>;
}

/** Prepares `recording` for `device`. Outputs are asked for as `recording` has them, whatever the passes make of it. */
export function compile(
  device: ProgramDevice,
  recording: Recording,
  { passes = [fuse(device.fusions)], places = new Map() }: CompileOptions = {},
): Program {
  const rewritten = passes.reduce((before, pass) => pass(before), recording);
  const outputs = new Map<number, Tensor>();
  const rewrittenOutputs = new Map<number, Tensor>();
  const owned: Tensor[] = [];
  try {
    for (const value of places.keys()) {
      if (!recording.isOutput(value))
        throw new QuipuError("ERR_INTERNAL", `${value.name} has a place and is no output`);
    }
    checkApart(rewritten, [...places.values()]);
    if (rewritten.outputs.length !== recording.outputs.length) {
      throw new QuipuError("ERR_INTERNAL", "a pass has changed how many outputs there are");
    }
    recording.outputs.forEach((value, i) => {
      const { name, dtype, shape, leading } = value;
      const now = rewritten.outputs[i]!;
      if (formatShape(now.dtype, now.shape) !== formatShape(dtype, shape) || now.leading !== leading) {
        throw new QuipuError("ERR_INTERNAL", `a pass has changed output ${i}, ${name}`);
      }
      let tensor = now.tensor ?? places.get(value);
      if (tensor === undefined) {
        tensor = device.allocate(name, dtype, shape);
        owned.push(tensor);
      } else {
        checkPlace(value, tensor);
      }
      outputs.set(value.id, tensor);
      rewrittenOutputs.set(now.id, tensor);
    });
    const { stream, buffers } = encode(rewritten, planMemory(rewritten), rewrittenOutputs);
    return new Program(device, device.load(stream, buffers), rewritten.capacity, outputs, owned);
  } catch (error) {
    for (const tensor of owned) device.free(tensor);
    throw error;
  }
}

function checkPlace({ name, dtype, shape }: Value, place: Tensor) {
  if (formatShape(place.dtype, place.shape) === formatShape(dtype, shape)) return;
  throw new QuipuError(
    "ERR_INTERNAL",
    `${name}: expected a place of ${formatShape(dtype, shape)}, got ${formatShape(place.dtype, place.shape)}`,
  );
}

/** An output that lay where state lies, or another output, would change it behind the recorder's back. */
function checkApart(recording: Recording, places: readonly Tensor[]) {
  if (places.length === 0) return;
  const values = recording.ops.flatMap(({ operands }) => Object.values(operands));
  const states = new Set(values.flatMap(({ tensor }) => tensor ?? []));
  for (const [i, place] of places.entries()) {
    const other = [...places.slice(0, i), ...states].find((tensor) => overlap(tensor, place));
    if (other !== undefined) throw new QuipuError("ERR_INTERNAL", `${place.name} lies where ${other.name} does`);
  }
}

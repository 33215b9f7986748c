// From a recording to a program of a device: plan the memory, give outputs a place, write the flat stream of 32-bit words
// that native code checks once and keeps (its form: native/core/program.h).
import type { NativeBuffer, NativeProgram } from "../addon/addon-types.js";
import type { Device, RunOptions, RunTimes } from "../device/device.js";
import { DTYPE_CODES, type Tensor } from "../device/tensor.js";
import { QuipuError } from "../errors.js";
import { opRow } from "./ops.js";
import { type MemoryPlan, planMemory } from "./passes/plan-memory.js";
import type { RecordedOp, Recording, Value } from "./recorder.js";

const MAGIC = 0x51554950;
const VERSION = 1;
const ARENA = 0xffffffff;

export interface Encoded {
  readonly stream: Uint32Array;
  readonly buffers: NativeBuffer[];
}

/** Writes `recording` as a stream. `places` holds the tensors of its outputs, by value id. */
export function encode(recording: Recording, plan: MemoryPlan, places: ReadonlyMap<number, Tensor>): Encoded {
  const buffers: NativeBuffer[] = [];
  const bufferIndex = new Map<NativeBuffer, number>();
  const tensorWords: number[] = [];
  const tensorIndex = new Map<string, number>();

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
    const buffer = tensor === undefined ? ARENA : indexOfBuffer(tensor.buffer);
    const offset = tensor === undefined ? plan.offsets.get(value.id) : tensor.offset;
    if (offset === undefined) throw new QuipuError("ERR_INTERNAL", `${value.name} (value ${value.id}) has no place`);
    const dims = [...value.shape, 1, 1, 1, 1].slice(0, 4);
    const words = [
      buffer,
      offset % 2 ** 32,
      Math.floor(offset / 2 ** 32),
      DTYPE_CODES[value.dtype],
      value.shape.length,
      ...dims,
    ];
    const key = words.join();
    let index = tensorIndex.get(key);
    if (index === undefined) {
      index = tensorIndex.size;
      tensorIndex.set(key, index);
      tensorWords.push(...words);
    }
    return index;
  };

  const opWords = recording.ops.flatMap((op) => {
    const operands = streamOrder(op).map(indexOfTensor);
    return [opRow(op.op).code, operands.length, op.attributes.length, ...operands, ...op.attributes];
  });
  const { arenaBytes } = plan;
  const header = [
    MAGIC,
    VERSION,
    arenaBytes % 2 ** 32,
    Math.floor(arenaBytes / 2 ** 32),
    tensorIndex.size,
    recording.ops.length,
  ];
  return { stream: Uint32Array.from([...header, ...tensorWords, ...opWords]), buffers };
}

/** Operands of the row, its results, its optional operands; new versions of state are where the state is. */
function streamOrder(op: RecordedOp): Value[] {
  const row = opRow(op.op);
  const required = Object.keys(row.operands).length;
  const results = op.results.slice(0, Object.keys(row.results).length);
  return [...op.operands.slice(0, required), ...results, ...op.operands.slice(required)];
}

/** A recording made ready for a device. */
export class Program {
  readonly recording: Recording;
  readonly arenaBytes: number;
  readonly #device: Device;
  readonly #native: NativeProgram;
  readonly #outputs: ReadonlyMap<number, Tensor>;

  constructor(device: Device, recording: Recording, plan: MemoryPlan, outputs: ReadonlyMap<number, Tensor>) {
    const { stream, buffers } = encode(recording, plan, outputs);
    this.recording = recording;
    this.arenaBytes = plan.arenaBytes;
    this.#device = device;
    this.#outputs = outputs;
    this.#native = device.load(stream, buffers);
  }

  /** Where an output of the recording lies. */
  output(value: Value): Tensor {
    const tensor = this.#outputs.get(value.id);
    if (tensor === undefined) throw new QuipuError("ERR_INTERNAL", `${value.name} is not an output of this program`);
    return tensor;
  }

  /** Runs on the device's queue; see {@link Device.run}. */
  run(options: RunOptions = {}): Promise<RunTimes> {
    return this.#device.run(this.#native, options);
  }

  /** Gives up the program and the memory of its outputs, once no run needs them. */
  dispose(): void {
    this.#native.dispose();
    for (const tensor of this.#outputs.values()) this.#device.free(tensor);
  }
}

/** Prepares `recording` for `device`: planMemory, encode. Passes that rewrite the list come before. */
export function compile(device: Device, recording: Recording): Program {
  const outputs = new Map<number, Tensor>();
  for (const value of recording.outputs) {
    if (value.tensor === undefined) outputs.set(value.id, device.allocate(value.name, value.dtype, value.shape));
  }
  return new Program(device, recording, planMemory(recording), outputs);
}

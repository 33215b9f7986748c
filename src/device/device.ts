// A device: memory, programs and a run queue. Which there are is known to openDevice() alone; each is a native module of its own.
import { addonOf, type DeviceKind, fromNative, withCodes } from "../addon/addon.js";
import type {
  NativeBuffer,
  NativeCancelFlag,
  NativeDevice,
  NativeDeviceAddon,
  NativeProgram,
  NativeTransfers,
  NativeTypedArray,
} from "../addon/addon-types.js";
import { checkArgument, type Kind, whole } from "../arguments.js";
import { abortedError, isQuipuError, QuipuError } from "../errors.js";
import { describeGpus, type Gpu } from "../machine/gpus.js";
import { chooseTarget } from "../machine/machine.js";
import type { PreparedFile } from "../machine/prepared-file.js";
import { threadsFor } from "../machine/process-limits.js";
import { type DType, FORMATS, type FormatRow } from "./formats.js";
import { chooseFusions, type Fusion } from "./fusions.js";
import { bytesOf, type Shape, type Tensor } from "./tensor.js";
import { WeightFile, type WeightFileOptions } from "./weight-file.js";

/** A GPU: the first, or one by its number among those that the driver shows. */
export type CudaName = "cuda" | `cuda:${number}`;

/** What names a GPU. */
export const CUDA_NAME: Kind = {
  expected: '"cuda" or "cuda:<number>"',
  accepts: (value) => typeof value === "string" && cudaIndex(value) !== undefined,
};

/** Which kind of device a name is of. */
export function kindOf(device: NonNullable<DeviceOptions["device"]>): DeviceKind {
  if (device === "auto") return "cpu";
  return device === "reference" || device === "simt" || device === "cpu" ? device : "cuda";
}

/** Whether devices of a kind have memory of their own, beside the host's. */
export function hasOwnMemory(kind: DeviceKind): boolean {
  return kind === "cuda" || kind === "simt";
}

/** The number of a GPU by its name; undefined for what is none. */
function cudaIndex(name: string): number | undefined {
  const match = /^cuda(?::([0-9]{1,4}))?$/.exec(name);
  return match === null ? undefined : Number(match[1] ?? 0);
}

export interface DeviceOptions {
  /** "auto" takes the CPU. "cuda" is the first GPU that the driver shows, "cuda:1" the second. "reference" and "simt" are the tests' own (native/reference, native/simt). */
  device?: "auto" | "cpu" | CudaName | "reference" | "simt" | undefined;
  /** Threads of the kernels, cut to the processors that this process has; default: those. */
  threads?: number | undefined;
  /** Kernels of an instruction set of the CPU ("scalar", "avx2", "avx-vnni", "avx512", "avx512-vnni"); default: QUIPU_CPU, else the fastest here. */
  target?: string | undefined;
  /** Ops that are made one: all, none, or those of a list; default: QUIPU_FUSE, else all. */
  fuse?: boolean | readonly Fusion[] | undefined;
}

/** A tensor as a file of weights has it, from byte `offset` on. */
export interface FileView {
  readonly file: WeightFile;
  readonly offset: number;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What a weight is read as: a matrix that products are made with, a table whose rows are gathered, a vector. */
export type WeightUse = "product" | "rows" | "vector";

/** A tensor of the device and an array of the host: of its element type, bf16 and f16 as their bits, and no larger. */
export type Transfer = readonly [tensor: Tensor, array: NativeTypedArray];

export interface RunOptions {
  /** Copied to the device before the program starts. Index tensors are checked against their bound. */
  writes?: readonly Transfer[];
  /** Filled when the program is done. */
  reads?: readonly Transfer[];
  /** Rows whose own contents are wrong (a NaN among the logits) leave the others alone: their id is −1. */
  byRow?: boolean;
  /** Rows of the step, and rows wanted of it, of a program that is made for some: at most as many; default 0. */
  rows?: number;
  wanted?: number;
  /** Ends the run within 200 ms, also in the middle of a long op, and at once where it waits behind others. */
  signal?: AbortSignal | undefined;
}

/** A row whose own contents were wrong: which of the op's, and what. */
export interface RowFailure {
  readonly row: number;
  readonly error: QuipuError;
}

/** What a run came to. Times are in milliseconds, on one clock for all runs. */
export interface RunResult {
  readonly started: number;
  readonly ended: number;
  /** For how long the device had nothing to do before it. */
  readonly idle: number;
  /** The rows that failed alone, where `byRow` asks for them. */
  readonly failures: readonly RowFailure[];
}

/** What programs are recorded, compiled and held for: a device, or one that is only planned (planned-device.ts). */
export type ProgramDevice = Pick<Device, "allocate" | "free" | "load" | "run" | "fusions">;

/** A device. It owns memory and programs and takes no other's. Runs are queued, first in first out; the event loop stays free. */
export class Device {
  readonly kind: DeviceKind;
  /** What its kernels are made for: of the CPU, the instruction set. */
  readonly target: string;
  /** Threads of its runs, of those that all CPU devices of the process share. */
  readonly threads: number;
  /** Why they are fewer than `asked`, in a few words; undefined where they are not. */
  readonly threadsCut: string | undefined;
  /** Ops that programs are compiled to in place of others. */
  readonly fusions: readonly Fusion[];
  /** How packed weights lie in its memory, as a number that a file can be told by; 0: no file can keep them. */
  readonly packedLayout: number;
  readonly #addon: NativeDeviceAddon;
  readonly #native: NativeDevice;
  readonly #flights = new Map<Promise<unknown>, NativeCancelFlag>();
  /** One a signal, as the scheduler has the same few signals for all its steps; runs without a signal share one. */
  readonly #flags = new WeakMap<AbortSignal, NativeCancelFlag>();
  readonly #flagWithoutSignal: NativeCancelFlag;
  #disposing = false;

  /** `threads` may be more than there are processors: openDevice() sees to it that they are not, and tells what was asked for. */
  constructor(
    kind: DeviceKind,
    target: string,
    threads: number,
    { asked = threads, fusions = [] }: { asked?: number | undefined; fusions?: readonly Fusion[] } = {},
  ) {
    const addon = addonOf(kind);
    this.kind = kind;
    this.target = target;
    this.fusions = fusions;
    this.#addon = addon;
    this.#native = withCodes(() => new addon.Device(target, threads));
    this.#flagWithoutSignal = withCodes(() => new addon.CancelFlag());
    this.packedLayout = this.#native.packedLayout();
    this.threads = this.#native.threads();
    const why =
      this.threads < threads ? "the system refuses more" : `${threads} ${threads === 1 ? "processor" : "processors"}`;
    this.threadsCut = this.threads < asked ? `${asked} asked for, ${why}` : undefined;
  }

  /**
   * Bytes held now: `state` of tensors that may be written (step inputs, outputs, cache pages, packed weights that no file keeps) and are neither
   * freed and out of use nor collected, touched or not; `arena` of the arena and the kernels' workspace. Weights that are views of files are in neither.
   */
  memory(): { state: number; arena: number } {
    const [state, arena] = this.#native.memory();
    return { state, arena };
  }

  /** Bytes that are free of its own memory; undefined where its memory is the host's. */
  ownMemory(): number | undefined {
    return hasOwnMemory(this.kind) ? this.#native.freeMemory() : undefined;
  }

  /**
   * Zeroed memory for state: step inputs, outputs, cache pages. Pages of it that are never touched cost nothing, but those of packed matrices.
   * A tensor with `indexBound` holds i32 in [−1, indexBound).
   *
   * @throws {QuipuError} ERR_OUT_OF_MEMORY, ERR_DISPOSED.
   */
  allocate(name: string, dtype: DType, shape: Shape, indexBound = 0): Tensor {
    const filled = FORMATS[dtype].block.rows > 1; // packed matrices are written whole
    const buffer = withCodes(() => this.#native.buffer(bytesOf(dtype, shape), indexBound, filled));
    return { name, buffer, offset: 0, dtype, shape, indexBound };
  }

  /**
   * Opens a file of weights for {@link place}, mapped or read.
   *
   * @throws {QuipuError} ERR_MODEL_INVALID when it cannot be opened or its size is not `bytes`, ERR_OUT_OF_MEMORY, ERR_ABORTED.
   */
  open(path: string, bytes: number, options: WeightFileOptions): Promise<WeightFile> {
    return WeightFile.open(this.#addon, path, bytes, options);
  }

  /**
   * A weight of a file that this device has opened, as a tensor for each of its uses: one that serves several is there
   * once. In which form it is kept is the device's to decide: the file's own pages where they are aligned, else a copy.
   *
   * @throws {QuipuError} ERR_INTERNAL where it leaves the file, ERR_OUT_OF_MEMORY, ERR_DISPOSED.
   */
  place<const Uses extends readonly WeightUse[]>(
    name: string,
    { file, offset, dtype, shape }: FileView,
    uses: Uses,
  ): { readonly [Each in keyof Uses]: Tensor } {
    const { alignment, code } = FORMATS[dtype];
    const [rows, columns] = shape;
    const isMatrix = rows !== undefined && columns !== undefined && shape.length === 2 && !uses.includes("vector");
    const buffer = withCodes(() =>
      isMatrix
        ? this.#native.placeMatrix(file.native, offset, alignment, code, rows, columns)
        : this.#native.place(file.native, offset, bytesOf(dtype, shape), alignment),
    );
    const tensor: Tensor = { name, buffer, offset: 0, dtype, shape, indexBound: 0 };
    return uses.map(() => tensor) as { [Each in keyof Uses]: Tensor };
  }

  /**
   * A tensor in a section of a prepared file, which has as many bytes: state while the file is being made, read-only then.
   *
   * @throws {QuipuError} ERR_INTERNAL where there is no such section, ERR_DISPOSED.
   */
  section(name: string, file: PreparedFile, index: number, dtype: DType, shape: Shape): Tensor {
    const buffer = withCodes(() => this.#native.section(file.native, index));
    return { name, buffer, offset: 0, dtype, shape, indexBound: 0 };
  }

  /**
   * A matrix that `packer` has packed for this device ({@link openPacker}), as this device wants it; the packer's is given back.
   *
   * @throws {QuipuError} ERR_OUT_OF_MEMORY, ERR_DISPOSED.
   */
  async take(packed: Tensor, packer: Device): Promise<Tensor> {
    if (packer === this) return packed;
    const { name, dtype, shape } = packed;
    const size = bytesOf(dtype, shape);
    const bytes = new Int8Array(size);
    await packer.run(null, { reads: [[{ ...packed, dtype: "i8", shape: [size] }, bytes]] });
    packer.free(packed);
    const [rows, columns] = shape as readonly [number, number];
    const buffer = withCodes(() =>
      this.#native.upload(new Uint8Array(bytes.buffer), FORMATS[dtype].code, rows, columns),
    );
    return { name, buffer, offset: 0, dtype, shape, indexBound: 0 };
  }

  /** Gives the memory of a tensor back, once; programs that name it keep it until they go. */
  free(tensor: Tensor): void {
    tensor.buffer.dispose();
  }

  /** Hands native code an encoded program, which it checks once. */
  load(stream: Uint32Array, buffers: NativeBuffer[]): NativeProgram {
    return withCodes(() => this.#native.program(stream, buffers));
  }

  /**
   * Runs a program (or, with null, only the transfers) after everything queued before it.
   *
   * @throws {QuipuError} ERR_ABORTED when `signal` ends it, ERR_DISPOSED when dispose() does, ERR_NOT_A_NUMBER, ERR_ALL_FORBIDDEN, ERR_OUT_OF_MEMORY.
   */
  async run(
    program: NativeProgram | null,
    { writes = [], reads = [], byRow = false, rows = 0, wanted = 0, signal }: RunOptions = {},
  ): Promise<RunResult> {
    if (this.#disposing) throw new QuipuError("ERR_DISPOSED", "the device is disposed");
    if (signal?.aborted) throw abortedError(signal);
    const flag = this.#flagOf(signal);
    const native = withCodes(() =>
      this.#native.run(program, transfers(writes), transfers(reads), flag, byRow, rows, wanted),
    );
    this.#flights.set(native, flag);
    try {
      const [started, ended, idle, ...errors] = await native;
      return { started, ended, idle, failures: errors.map((error) => ({ row: error.row, error: fromNative(error) })) };
    } catch (error) {
      if (signal?.aborted) throw abortedError(signal);
      if (this.#disposing) throw new QuipuError("ERR_DISPOSED", "the device was disposed of during the run");
      throw fromNative(error);
    } finally {
      this.#flights.delete(native);
    }
  }

  /** What ends the runs that `signal` is given to. */
  #flagOf(signal: AbortSignal | undefined): NativeCancelFlag {
    if (signal === undefined) return this.#flagWithoutSignal;
    let flag = this.#flags.get(signal);
    if (flag === undefined) {
      const made = withCodes(() => new this.#addon.CancelFlag());
      signal.addEventListener("abort", () => this.#native.cancel(made), { once: true });
      this.#flags.set(signal, made);
      flag = made;
    }
    return flag;
  }

  /** Cancels what runs, waits for it and gives up threads and arena. */
  async dispose(): Promise<void> {
    this.#disposing = true;
    for (const flag of this.#flights.values()) this.#native.cancel(flag);
    await Promise.allSettled([...this.#flights.keys()]);
    this.#native.dispose();
  }
}

/**
 * Opens a device.
 *
 * @throws {QuipuError} ERR_DEVICE_UNAVAILABLE for "cuda", for kernels this machine cannot run and where the system refuses to start
 *   even one thread (where it refuses some, the device has fewer); ERR_USAGE for a bad count of threads.
 */
export function openDevice({ device = "auto", threads, target, fuse }: DeviceOptions = {}): Device {
  const gpu = cudaIndex(device);
  if (gpu !== undefined) return openCuda(gpu, fuse);
  if (threads !== undefined) checkArgument("threads", threads, whole(1, 1024));
  if (device === "reference") return new Device("reference", "float64", 1);
  if (device === "simt") return new Device("simt", "0", 1, { fusions: chooseFusions(fuse) });
  return new Device("cpu", chooseTarget(target), threadsFor(threads), { asked: threads, fusions: chooseFusions(fuse) });
}

/** The device that packs weights for another: itself, or where that has no kernel of it the CPU's, which the caller disposes of. */
export function openPacker(device: Device, threads?: number): Device {
  return hasOwnMemory(device.kind) ? openDevice({ device: "cpu", threads }) : device;
}

/** The module is loaded by who asks for it alone: it is built where it is wanted (`npm run build:cuda`). */
function openCuda(gpu: number, fuse: DeviceOptions["fuse"]): Device {
  try {
    return new Device("cuda", String(gpu), 1, { fusions: chooseFusions(fuse) });
  } catch (cause) {
    if (!isQuipuError(cause) || (cause.code !== "ERR_ADDON" && cause.code !== "ERR_DEVICE_UNAVAILABLE")) throw cause;
    throw cudaUnavailable(gpu, cause.message, cause);
  }
}

/**
 * The GPU that a device of that name would be opened on, and what of its memory is free now.
 *
 * @throws {QuipuError} ERR_DEVICE_UNAVAILABLE where there is none.
 */
export function describeCuda(name: CudaName): Gpu {
  const index = cudaIndex(name)!;
  const { gpus, problem } = describeGpus();
  const gpu = gpus[index];
  if (gpu !== undefined) return gpu;
  throw cudaUnavailable(index, problem ?? `the driver shows ${gpus.length}, counted from 0`);
}

function cudaUnavailable(gpu: number, why: string, cause?: QuipuError): QuipuError {
  const [name, what] = [gpu === 0 ? "cuda" : `cuda:${gpu}`, why.replace(/\.?$/, ".")];
  const message = `device ${name} is not available: ${what} Use the device cpu.`;
  return new QuipuError("ERR_DEVICE_UNAVAILABLE", message, { option: "device", cause });
}

function transfers(list: readonly Transfer[]): NativeTransfers {
  return list.flatMap(([tensor, array]) => {
    const { name, dtype, shape, buffer, offset } = tensor;
    const { array: expected = "none" }: FormatRow = FORMATS[dtype];
    if (array[Symbol.toStringTag] !== expected) {
      throw new QuipuError(
        "ERR_INTERNAL",
        `${name}: a transfer of ${dtype} takes ${expected}, got ${array[Symbol.toStringTag]}`,
      );
    }
    if (array.byteLength > bytesOf(dtype, shape)) {
      throw new QuipuError("ERR_INTERNAL", `${name}: a transfer of ${array.byteLength} bytes is larger than it`);
    }
    return [buffer, offset, array];
  });
}

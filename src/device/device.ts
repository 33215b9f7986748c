// A device: memory, programs and a run queue. The CPU is the only one yet; CUDA will be a second module behind this interface.
import { callNative, fromNative } from "../addon/addon.js";
import type {
  NativeBuffer,
  NativeCancelFlag,
  NativeDevice,
  NativeMappedFile,
  NativeProgram,
  NativeTransfers,
  NativeTypedArray,
} from "../addon/addon-types.js";
import { threadsFor } from "../addon/process-limits.js";
import { checkArgument, whole } from "../arguments.js";
import { abortedError, QuipuError } from "../errors.js";
import { chooseTarget } from "./machine.js";
import { bytesOf, DTYPE_BYTES, type DType, type Shape, type Tensor } from "./tensor.js";

export interface DeviceOptions {
  /** "auto" takes the CPU: there is no other device in this version. */
  device?: "auto" | "cpu" | "cuda" | undefined;
  /** Threads of the kernels, cut to the processors that this process has; default: those. */
  threads?: number | undefined;
  /** Kernels of an instruction set ("scalar", "avx2", "avx512"); default: QUIPU_CPU, else the fastest here. */
  target?: string | undefined;
}

/** A tensor of the device and an array of the host of the same size. */
export type Transfer = readonly [tensor: Tensor, array: NativeTypedArray];

export interface RunOptions {
  /** Copied to the device before the program starts. Index tensors are checked against their bound. */
  writes?: readonly Transfer[];
  /** Filled when the program is done. */
  reads?: readonly Transfer[];
  /** Ends the run within 200 ms, also in the middle of a long op, and at once where it waits behind others. */
  signal?: AbortSignal | undefined;
}

/** When a run was on the device, in milliseconds on one clock for all runs. */
export interface RunTimes {
  readonly started: number;
  readonly ended: number;
  /** Milliseconds before it in which the device had nothing to do. */
  readonly idle: number;
}

/** A file of weights, mapped or read by native code. */
export class WeightFile {
  readonly #native: NativeMappedFile;

  /** @throws {QuipuError} ERR_MODEL_INVALID when it cannot be opened or its size is not `bytes`. */
  constructor(path: string, bytes: number, map: boolean) {
    this.#native = callNative((addon) => new addon.MappedFile(path, bytes, map));
  }

  /** The tensor that lies at byte `offset`, without a copy where its alignment allows. */
  tensor(name: string, offset: number, dtype: DType, shape: Shape): Tensor {
    const buffer = callNative(() => this.#native.view(offset, bytesOf(dtype, shape), DTYPE_BYTES[dtype]));
    return { name, buffer, offset: 0, dtype, shape, indexBound: 0 };
  }

  /** Tensors made from it stay valid; its memory goes when the last of them does. */
  dispose(): void {
    this.#native.dispose();
  }
}

/** A CPU device. Runs are queued, first in first out; the event loop stays free. */
export class Device {
  readonly kind = "cpu";
  /** Instruction set of its kernels. */
  readonly target: string;
  /** Threads of its runs, of those that all CPU devices of the process share. */
  readonly threads: number;
  /** Why they are fewer than `asked`, in a few words; undefined where they are not. */
  readonly threadsCut: string | undefined;
  readonly #native: NativeDevice;
  readonly #flights = new Set<{ flag: NativeCancelFlag; done: Promise<unknown> }>();
  #allocated = 0;
  #disposing = false;

  /** `threads` may be more than there are processors: openDevice() sees to it that they are not, and tells what was asked for. */
  constructor(target: string, threads: number, asked = threads) {
    this.target = target;
    this.#native = callNative((addon) => new addon.Device(target, threads));
    this.threads = this.#native.threads();
    const why =
      this.threads < threads ? "the system refuses more" : `${threads} ${threads === 1 ? "processor" : "processors"}`;
    this.threadsCut = this.threads < asked ? `${asked} asked for, ${why}` : undefined;
  }

  /** Bytes allocated so far for state (not weights), and the arena with the kernels' workspace. */
  memory(): { state: number; arena: number } {
    return { state: this.#allocated, arena: this.#native.workspaceBytes() };
  }

  /**
   * Zeroed memory for state: step inputs, outputs, cache pages. Pages of it that are never touched cost nothing.
   * A tensor with `indexBound` holds i32 in [−1, indexBound).
   *
   * @throws {QuipuError} ERR_OUT_OF_MEMORY
   */
  allocate(name: string, dtype: DType, shape: Shape, indexBound = 0): Tensor {
    const bytes = bytesOf(dtype, shape);
    const buffer = callNative((addon) => new addon.Buffer(bytes, indexBound));
    this.#allocated += bytes;
    return { name, buffer, offset: 0, dtype, shape, indexBound };
  }

  /** Gives the memory of an allocated tensor back; programs that name it keep it until they go. */
  free(tensor: Tensor): void {
    tensor.buffer.dispose();
    this.#allocated -= bytesOf(tensor.dtype, tensor.shape);
  }

  /** Hands native code an encoded program, which it checks once. */
  load(stream: Uint32Array, buffers: NativeBuffer[]): NativeProgram {
    return callNative((addon) => new addon.Program(stream, buffers));
  }

  /**
   * Runs a program (or, with null, only the transfers) after everything queued before it.
   *
   * @throws {QuipuError} ERR_ABORTED when `signal` ends it, ERR_DISPOSED when dispose() does, ERR_OUT_OF_MEMORY.
   */
  async run(program: NativeProgram | null, { writes = [], reads = [], signal }: RunOptions = {}): Promise<RunTimes> {
    if (this.#disposing) throw new QuipuError("ERR_DISPOSED", "the device is disposed");
    if (signal?.aborted) throw abortedError(signal);
    const flag = callNative((addon) => new addon.CancelFlag());
    const cancel = () => this.#native.cancel(flag);
    const native = callNative(() => this.#native.run(program, transfers(writes), transfers(reads), flag));
    const flight = { flag, done: native };
    this.#flights.add(flight);
    signal?.addEventListener("abort", cancel);
    try {
      const [started, ended, idle] = await native;
      return { started, ended, idle };
    } catch (error) {
      if (signal?.aborted) throw abortedError(signal);
      if (this.#disposing) throw new QuipuError("ERR_DISPOSED", "the device was disposed of during the run");
      throw fromNative(error);
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.#flights.delete(flight);
    }
  }

  /** Cancels what runs, waits for it and gives up threads and arena. */
  async dispose(): Promise<void> {
    this.#disposing = true;
    for (const { flag } of this.#flights) this.#native.cancel(flag);
    await Promise.allSettled([...this.#flights].map(({ done }) => done));
    this.#native.dispose();
  }
}

/**
 * Opens a device.
 *
 * @throws {QuipuError} ERR_DEVICE_UNAVAILABLE for "cuda", for kernels this machine cannot run and where the system refuses to start
 *   even one thread (where it refuses some, the device has fewer); ERR_USAGE for a bad count of threads.
 */
export function openDevice({ device = "auto", threads, target }: DeviceOptions = {}): Device {
  if (device === "cuda") {
    throw new QuipuError(
      "ERR_DEVICE_UNAVAILABLE",
      "device cuda is not available: this version of quipu has no CUDA kernels. Use the device cpu.",
      { option: "device" },
    );
  }
  if (threads !== undefined) checkArgument("threads", threads, whole(1, 1024));
  return new Device(chooseTarget(target), threadsFor(threads), threads);
}

function transfers(list: readonly Transfer[]): NativeTransfers {
  return list.flatMap(([tensor, array]) => {
    if (array.byteLength > bytesOf(tensor.dtype, tensor.shape)) {
      throw new QuipuError("ERR_INTERNAL", `${tensor.name}: a transfer of ${array.byteLength} bytes is larger than it`);
    }
    return [tensor.buffer, tensor.offset, array];
  });
}

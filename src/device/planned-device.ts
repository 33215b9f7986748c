// A device that is only planned: its tensors have sizes and no memory, its programs are measured and never run. What it says of
// memory is what a device says that has run them, as the same code makes both.
import { addonOf, type DeviceKind, withCodes } from "../addon/addon.js";
import type { NativeBuffer, NativePlanningAddon, NativeProgram } from "../addon/addon-types.js";
import { QuipuError } from "../errors.js";
import { chooseTarget } from "../machine/machine.js";
import { threadsFor } from "../machine/process-limits.js";
import { type DeviceOptions, hasOwnMemory, kindOf, type ProgramDevice } from "./device.js";
import { chooseFusions, type Fusion } from "./fusions.js";
import { bytesOf, type DType, type Shape, type Tensor } from "./tensor.js";

/** Memory that is not there. */
class PlannedBuffer implements NativeBuffer {
  constructor(
    readonly bytes: number,
    readonly indexBound: number,
    readonly isWritable: boolean,
  ) {}

  dispose(): void {}
}

/** Nothing of it is ever given back: it is planned once. */
export class PlannedDevice implements ProgramDevice {
  readonly kind: DeviceKind;
  readonly fusions: readonly Fusion[];
  readonly #asked: Pick<DeviceOptions, "target" | "threads">;
  #state = 0;
  /** Arena, and what kernels work in, by its kinds: of each as much as the program that wants most of it. */
  #workspace: readonly number[] = [];

  constructor({ device = "auto", fuse, ...asked }: DeviceOptions = {}) {
    this.kind = kindOf(device);
    this.#asked = asked;
    this.fusions = chooseFusions(fuse);
  }

  /** Whether its memory is a GPU's, and not the host's. */
  get hasOwnMemory(): boolean {
    return hasOwnMemory(this.kind);
  }

  /** As Device.memory(), when every program that was made for it has run. */
  memory(): { readonly state: number; readonly arena: number } {
    return { state: this.#state, arena: this.#workspace.reduce((sum, bytes) => sum + bytes, 0) };
  }

  allocate(name: string, dtype: DType, shape: Shape, indexBound = 0): Tensor {
    const bytes = bytesOf(dtype, shape);
    this.#state += bytes;
    return { name, buffer: new PlannedBuffer(bytes, indexBound, true), offset: 0, dtype, shape, indexBound };
  }

  /** A weight. */
  place(name: string, dtype: DType, shape: Shape): Tensor {
    const buffer = new PlannedBuffer(bytesOf(dtype, shape), 0, false);
    return { name, buffer, offset: 0, dtype, shape, indexBound: 0 };
  }

  free(): void {}

  /** @throws {QuipuError} ERR_DEVICE_UNAVAILABLE for kernels that this machine cannot run, ERR_ADDON where the device's module is not there. */
  load(stream: Uint32Array, buffers: NativeBuffer[]): NativeProgram {
    const { target, threads } = this.#asked;
    const sizes = (buffers as PlannedBuffer[]).flatMap(({ bytes, indexBound, isWritable }) => [
      bytes,
      indexBound,
      Number(isWritable),
    ]);
    // All GPUs of a build want the same.
    const [kernels, count] = this.kind === "cpu" ? [chooseTarget(target), threadsFor(threads)] : ["0", 1];
    const addon = addonOf(this.kind) as NativePlanningAddon;
    const wanted = withCodes(() => addon.workspaceOf(kernels, count, stream, Float64Array.from(sizes)));
    this.#workspace = wanted.map((bytes, i) => Math.max(bytes, this.#workspace[i] ?? 0));
    return { dispose() {} };
  }

  run(): Promise<never> {
    return Promise.reject(new QuipuError("ERR_INTERNAL", "a device that is only planned runs nothing"));
  }
}

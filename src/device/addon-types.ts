// What native/addon.cc exports, as TypeScript. Only src/device uses it.

export type NativeTypedArray = Float32Array | Int32Array | Uint32Array | Uint16Array | Int8Array | Uint8Array;

/** A range of memory of the device: zeroed when made, or a read-only view of a file. */
export interface NativeBuffer {
  dispose(): void;
}

export interface NativeMappedFile {
  /** A read-only view of [offset, offset + bytes), copied only if it is not aligned to `alignment`. */
  view(offset: number, bytes: number, alignment: number): NativeBuffer;
  dispose(): void;
}

export interface NativeProgram {
  dispose(): void;
}

/** Names the runs that it is given to. */
export type NativeCancelFlag = object;

/** (buffer, byte offset, array) one after another. */
export type NativeTransfers = (NativeBuffer | number | NativeTypedArray)[];

export interface NativeDevice {
  /** Arrays of `writes` are copied at the call; arrays of `reads` are filled before the promise resolves. */
  run(
    program: NativeProgram | null,
    writes: NativeTransfers,
    reads: NativeTransfers,
    cancel: NativeCancelFlag,
  ): Promise<void>;
  /** Ends the runs of `flag`: those that wait at once, one that runs soon. */
  cancel(flag: NativeCancelFlag): void;
  /** Bytes of arena and kernel workspace held now. */
  workspaceBytes(): number;
  dispose(): void;
}

export interface NativeAddon {
  Buffer: new (bytes: number, indexBound: number) => NativeBuffer;
  MappedFile: new (path: string, expectedBytes: number, map: boolean) => NativeMappedFile;
  Program: new (stream: Uint32Array, buffers: NativeBuffer[]) => NativeProgram;
  CancelFlag: new () => NativeCancelFlag;
  Device: new (target: string, threads: number) => NativeDevice;
  /** Instruction sets with kernels that this machine can run, slowest first. */
  targets(): string[];
  /** Threads that the machine gives this process: affinity and cgroup quota. */
  availableThreads(): number;
  /** [bytes per second, floating-point operations per second], each the best of `passes`; a stop[0] other than 0 ends it. */
  measureRoofs(
    target: string,
    threads: number,
    bytes: number,
    passes: number,
    stop: Int32Array,
  ): Promise<[number, number]>;
}

// What native/addon.cc exports, as TypeScript. Only src/device and src/tokenizer use it.

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

/** The tables of a vocabulary. */
export interface NativeVocabulary {
  /** Of a tokenizer.json: what is left without model.vocab and model.merges. */
  document(): string;
  /** What is wrong in vocab or merges; empty where nothing is. */
  problem(): string;
  /** How many tokens it has. */
  tokens(): number;
  /** Whether it came from a prepared table. */
  prepared(): boolean;
}

/** A byte for each added token: whether it is found in text. Then: whether others there are an error, and an id before all. */
export type NativeEncodeOptions = [allowed: Uint8Array, refusesOthers: boolean, beginning: number];

/** Ids are array buffers of i32. */
export interface NativeTokenizer {
  vocabSize(): number;
  encode(text: string | Uint8Array, ...options: NativeEncodeOptions): ArrayBuffer;
  count(text: string | Uint8Array, ...options: NativeEncodeOptions): number;
  /** (start, end, id or −1) of each part of UTF-8 text, in bytes. */
  segments(text: string | Uint8Array, ...options: NativeEncodeOptions): ArrayBuffer;
  encodePieces(text: Uint8Array, ends: Int32Array): ArrayBuffer;
  /** Where the ids of each text end (f64), and if `keep` the ids of all. */
  encodeAll(
    texts: readonly (string | Uint8Array)[],
    keep: boolean,
    threads: number,
    ...options: NativeEncodeOptions
  ): Promise<{ ends: ArrayBuffer; ids?: ArrayBuffer }>;
  decode(ids: Int32Array, special: boolean): string;
  decodeBytes(ids: Int32Array, special: boolean): ArrayBuffer;
  bytesOf(id: number): ArrayBuffer;
}

export interface NativeEncodeStream {
  push(text: string | Uint8Array): ArrayBuffer;
  end(): ArrayBuffer;
}

export interface NativeAddon {
  Buffer: new (bytes: number, indexBound: number) => NativeBuffer;
  MappedFile: new (path: string, expectedBytes: number, map: boolean) => NativeMappedFile;
  Program: new (stream: Uint32Array, buffers: NativeBuffer[]) => NativeProgram;
  CancelFlag: new () => NativeCancelFlag;
  Device: new (target: string, threads: number) => NativeDevice;
  Vocabulary: {
    new (format: "tokenizer.json" | "ranks", path: string, preparedPath: string | null): NativeVocabulary;
    new (format: "packed", ranks: string): NativeVocabulary;
  };
  Tokenizer: new (
    vocabulary: NativeVocabulary,
    /** An index of native/tokenizer/pretokenizer.h, or −1. */
    pattern: number,
    wholePieces: boolean,
    /** id, text, flags of each added token, one after another. */
    added: (number | string)[],
  ) => NativeTokenizer;
  EncodeStream: new (tokenizer: NativeTokenizer, ...options: NativeEncodeOptions) => NativeEncodeStream;
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

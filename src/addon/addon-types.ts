// What the native modules export, as TypeScript.

export type NativeTypedArray = Float32Array | Int32Array | Uint32Array | Uint16Array | Int8Array | Uint8Array;

/** A range of memory of a device: zeroed when made, or a read-only view of a file. */
export interface NativeBuffer {
  dispose(): void;
}

export interface NativeMappedFile {
  /** Reads on, at most so many bytes, and tells how many are there then. Of a file that is not mapped; one call at a time. */
  read(most: number): Promise<number>;
  dispose(): void;
}

/** A prepared file (native/core/prepared_file.h), or one that is being made. Its first section says in words what it is of. */
export interface NativePreparedFile {
  /** Of the file. */
  bytes(): number;
  /** Of its sections. */
  sizes(): number[];
  /** Looks at every byte, with so many threads, and tells whether all are what was written. */
  verify(threads: number): Promise<boolean>;
  /** Puts what has been made into its place, and tells what keeps it from that; "": nothing. What is in memory stays there. */
  finish(threads: number): Promise<string>;
  dispose(): void;
}

/** What tells a prepared file from all others: `kind` has at most 16 bytes, `source` has 32. */
export type NativePreparation = [path: string, kind: string, version: number, source: Uint8Array];

export interface NativeProgram {
  dispose(): void;
}

/** Names the runs that it is given to. */
export type NativeCancelFlag = object;

/** (buffer, byte offset, array) one after another. */
export type NativeTransfers = (NativeBuffer | number | NativeTypedArray)[];

/** Takes only what it has made itself. */
export interface NativeDevice {
  /** Zeroed memory; with `indexBound` > 0, i32 in [−1, indexBound). */
  buffer(bytes: number, indexBound: number, filled: boolean): NativeBuffer;
  /** Memory with a section of a prepared file: writable while that is being made. */
  section(file: NativePreparedFile, index: number): NativeBuffer;
  /** The number of how packed weights lie in its memory; 0: in none that a file could keep. */
  packedLayout(): number;
  /** Read-only memory with [offset, offset + bytes) of a file: its own pages, or a copy where `alignment` or the device asks for it. */
  place(file: NativeMappedFile, offset: number, bytes: number, alignment: number): NativeBuffer;
  placeMatrix(
    file: NativeMappedFile,
    offset: number,
    alignment: number,
    dtype: number,
    rows: number,
    columns: number,
  ): NativeBuffer;
  /** Read-only memory with a matrix that the CPU has packed, given as its bytes; `dtype` is the code of the format. Of a device that does not pack. */
  upload(bytes: Uint8Array, dtype: number, rows: number, columns: number): NativeBuffer;
  program(stream: Uint32Array, buffers: NativeBuffer[]): NativeProgram;
  /**
   * Arrays of `writes` are copied at the call; arrays of `reads` are filled before the promise resolves: to when it ran, in
   * milliseconds on one clock, for how long the queue was empty before, and with `byRow` the errors, each with its `row`, of the
   * rows that failed alone. `rows` and `wanted` are at most those that the program is made for.
   */
  run(
    program: NativeProgram | null,
    writes: NativeTransfers,
    reads: NativeTransfers,
    cancel: NativeCancelFlag,
    byRow: boolean,
    rows: number,
    wanted: number,
  ): Promise<[started: number, ended: number, idle: number, ...failures: (Error & { readonly row: number })[]]>;
  /** Ends the runs of `flag`: those that wait at once, one that runs soon. */
  cancel(flag: NativeCancelFlag): void;
  /** Threads of its runs: those asked for, or fewer where the system refuses to start some. */
  threads(): number;
  /** Bytes of the device's own memory that are free now; 0 of one that has none. */
  freeMemory(): number;
  /** Bytes of buffers that are not gone, and of arena and kernel workspace, held now. */
  memory(): [state: number, workspace: number];
  dispose(): void;
}

/** What the module of every device exports. */
export interface NativeDeviceAddon {
  Device: new (target: string, threads: number) => NativeDevice;
  /** Of a file that is not mapped, `bytes` from byte `first` on. */
  MappedFile: new (
    path: string,
    expectedBytes: number,
    map: boolean,
    first: number,
    bytes: number,
  ) => NativeMappedFile;
  CancelFlag: new () => NativeCancelFlag;
}

/** What the modules of devices export besides whose programs can be planned: all but the tests' reference. */
export interface NativePlanningAddon extends NativeDeviceAddon {
  /**
   * Bytes that runs of a program take of a device beside its buffers, by their kinds: of the CPU's with so many threads arena, scratch and
   * shared workspace, of a GPU arena, workspace and what a run comes to. `buffers` has three numbers for each of the program's: bytes, index
   * bound, and 0 where it is read-only. Nothing is allocated, and no device need be there.
   */
  workspaceOf(target: string, threads: number, stream: Uint32Array, buffers: Float64Array): number[];
}

/** What the module of the CUDA device exports besides. */
export interface NativeCudaAddon extends NativePlanningAddon {
  /** The CUDA version of the driver and of the build, then every GPU that the driver shows; throws where there is none. */
  gpus(): [driver: string, build: string, ...gpus: [name: string, capability: string, bytes: number, free: number][]];
}

/** The tables of a vocabulary. */
export interface NativeVocabulary {
  /** Of a tokenizer.json: what is left without model.vocab and model.merges. */
  document(): string;
  /** What is wrong in vocab or merges; empty where nothing is. */
  problem(): string;
  /** How many tokens it has. */
  tokens(): number;
  /** Whether every byte is a token. */
  hasAllBytes(): boolean;
  /** Whether tokens are text and not bytes. */
  ofCharacters(): boolean;
  /** The id of a token that text can become, or −1. */
  find(text: string): number;
  /** Whether a merge names that token as a part. */
  isMerged(text: string): boolean;
  /** Whether every byte of UTF-8 has a token <0x00> to <0xFF>, and whether a merge names one of those. */
  fallback(): [isThere: boolean, isMerged: boolean];
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
  /**
   * (start, end, id or −1) of each part of UTF-8 text, in bytes: of the text given, or of what it is normalized to. `passes` over added
   * tokens: 0 both; 1 those that are not `normalized`, 2 the others, for who normalizes the text in between.
   */
  parts(
    text: string | Uint8Array,
    passes: 0 | 1 | 2,
    ...options: NativeEncodeOptions
  ): { text?: ArrayBuffer; parts: ArrayBuffer };
  encodePieces(text: Uint8Array, ends: Int32Array): ArrayBuffer;
  /** For each text the buffer of its ids, where they begin in it and their count (f64); the buffers if `keep`. */
  encodeAll(
    texts: readonly (string | Uint8Array)[],
    keep: boolean,
    threads: number,
    ...options: NativeEncodeOptions
  ): Promise<{ places: ArrayBuffer; ids?: readonly ArrayBuffer[] }>;
  decode(ids: Int32Array, special: boolean): string;
  decodeBytes(ids: Int32Array, special: boolean): ArrayBuffer;
  /** Null for an id without a token. `first`: at the beginning of a text. */
  bytesOf(id: number, first: boolean): ArrayBuffer | null;
}

/** One call at a time; a promise where much is held. */
export interface NativeEncodeStream {
  push(text: string | Uint8Array): ArrayBuffer | Promise<ArrayBuffer>;
  end(): ArrayBuffer | Promise<ArrayBuffer>;
  /** What is under way, or comes, fails with ERR_ABORTED. */
  cancel(): void;
}

export interface NativeTokenizerTrainer {
  /** Counts the pieces of texts, which end at `ends`. The bytes are copied at the call. */
  count(bytes: Uint8Array, ends: Uint32Array): Promise<void>;
  /** Brings all counts to disk, after everything asked for before. */
  spill(): Promise<void>;
  /** Learns at most so many merges from all counts; `forbidden` are texts that no token may have. */
  train(merges: number, minFrequency: number, minPieceCount: number, forbidden: string[]): Promise<void>;
  /** Files of counts that are complete. */
  runs(): string[];
  mergesDone(): number;
  /** After train(): merges, pieces that were counted, distinct pieces. */
  summary(): [merges: number, pieces: number, distinctPieces: number];
  /** After train(): fills `pairs` [merges, 2] with ids and `counts` [merges]. */
  merges(pairs: Uint32Array, counts: Float64Array): void;
  /** Where a text that goes on may be cut without changing its pieces; 0 for nowhere yet. */
  cut(bytes: Uint8Array): number;
  cancel(): void;
  dispose(): void;
}

/** What quipu.node exports: the CPU device, and what is no device's. */
export interface NativeAddon extends NativePlanningAddon {
  Vocabulary: {
    /** `description` goes into a prepared table that is made. */
    new (
      format: "tokenizer.json" | "ranks",
      path: string,
      preparedPath: string | null,
      description?: string,
    ): NativeVocabulary;
    new (format: "packed", ranks: string): NativeVocabulary;
    /** Of SentencePiece, by id: texts that end at `ends`, priorities and kinds (native/tokenizer/scored_pieces.h). */
    new (
      format: "pieces",
      texts: Uint8Array,
      ends: Uint32Array,
      priorities: Uint32Array,
      kinds: Uint8Array,
    ): NativeVocabulary;
  };
  Tokenizer: new (
    vocabulary: NativeVocabulary,
    /** An index of native/tokenizer/pretokenizer.h, or −1. */
    pattern: number,
    wholePieces: boolean,
    /** A kind of native/tokenizer/normalizer.h and two values for each step, one after another. */
    normalizer: (string | number | boolean)[],
    /** id, text, flags of each added token, and what is sought in normalized text if that is said; one after another. */
    added: (number | string | null)[],
    /** Where tokens are text and the engine cuts: mark, everywhere, spaces, prepends (native/tokenizer/mark_cuts.h). */
    marks: (string | number | boolean)[] | null,
    /** What becomes of characters that are no tokens: their bytes, an id or −1, fused (native/tokenizer/encoder.h). */
    unknown: (number | boolean)[],
    /**
     * Where tokens are text: bytes, stripped, strips, droppedInFirst, onlyPrefix, untilText, keepsValid, and two texts for each replacement
     * (native/tokenizer/decoding.h).
     */
    decoding: (string | number | boolean)[] | null,
  ) => NativeTokenizer;
  EncodeStream: new (tokenizer: NativeTokenizer, ...options: NativeEncodeOptions) => NativeEncodeStream;
  /** `text` after steps as a Tokenizer's `normalizer` has them. */
  normalize(text: string, steps: (string | number | boolean)[]): string;
  /** `folder` is where counts go that do not fit `memory`; `runs` are files of counts made before. */
  TokenizerTrainer: new (
    pattern: string,
    threads: number,
    memory: number,
    folder: string,
    runs: string[],
  ) => NativeTokenizerTrainer;
  openPrepared(...which: NativePreparation): NativePreparedFile | "absent" | "other" | "damaged";
  /** One to be made, of zeros for now, with sections of `description` and of `sizes`; or what keeps it from being made. */
  makePrepared(...which: [...NativePreparation, description: string, sizes: Float64Array]): NativePreparedFile | string;
  /** Of any prepared file; null where it is none, or its description is damaged or has more than `most` bytes. */
  describePrepared(path: string, most: number): [kind: string, version: number, description: string] | null;
  /** "" where this descriptor has the lock of its file now (flock), "held" where another has it, else what the system says. */
  tryLock(fd: number): string;
  /** Instruction sets with kernels that this machine can run, slowest first. */
  targets(): string[];
  /** What compiled it, as "g++ 12.2.0", and with the headers of which glibc, as "2.36"; "" for another C library. */
  describeBuild(): [compiler: string, glibc: string];
  /** Processors that this process may run on: its affinity. */
  processors(): number;
  /** Bytes per second, the best of `passes` in every pattern; a stop[0] other than 0 ends it. */
  measureReadBandwidth(
    target: string,
    threads: number,
    bytes: number,
    passes: number,
    stop: Int32Array,
  ): Promise<number>;
  /** Operations per second of f32, or of `codes`, the best of forty short runs; stopped as measureReadBandwidth. */
  measureOperations(target: string, threads: number, codes: boolean, stop: Int32Array): Promise<number>;
}

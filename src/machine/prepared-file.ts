// A prepared file (native/core/prepared_file.h): found, or made.
import { callNative, fromNative, withCodes } from "../addon/addon.js";
import type { NativePreparation, NativePreparedFile } from "../addon/addon-types.js";

/** What tells one from all others. */
export interface Preparation {
  readonly path: string;
  /** At most 16 bytes. */
  readonly kind: string;
  /** Of what lies in the sections. */
  readonly version: number;
  /** 32 bytes. */
  readonly source: Uint8Array;
}

/** Of a description: a model of a thousand shards has less. */
const MOST_DESCRIPTION = 2 ** 26;

export class PreparedFile {
  readonly native: NativePreparedFile;

  private constructor(native: NativePreparedFile) {
    this.native = native;
  }

  /** One that is there, as far as its head tells; what "other" and "damaged" ones hold is to be made anew. */
  static find(which: Preparation): PreparedFile | "absent" | "other" | "damaged" {
    const found = callNative((addon) => addon.openPrepared(...nativeOf(which)));
    return typeof found === "string" ? found : new PreparedFile(found);
  }

  /** One that is to be made, with sections of `description` and of `sizes` bytes, which the disk has; or what keeps it from being made. */
  static make(which: Preparation, description: string, sizes: readonly number[]): PreparedFile | string {
    const made = callNative((addon) => addon.makePrepared(...nativeOf(which), description, Float64Array.from(sizes)));
    return typeof made === "string" ? made : new PreparedFile(made);
  }

  /** What one says of itself; undefined where none is, or that is damaged. */
  static describe(path: string): string | undefined {
    return callNative((addon) => addon.describePrepared(path, MOST_DESCRIPTION))?.[2];
  }

  /** Of the file. */
  get bytes(): number {
    return withCodes(() => this.native.bytes());
  }

  /** Of its sections, the description first. */
  get sizes(): readonly number[] {
    return withCodes(() => this.native.sizes());
  }

  /** Whether every byte is what was written: looked at by so many threads, at the speed of memory. */
  verify(threads: number): Promise<boolean> {
    return this.native.verify(threads).catch(rethrow);
  }

  /** Puts one that is made into its place, and tells what keeps it from that; "": nothing. What is in memory stays there. */
  finish(threads: number): Promise<string> {
    return this.native.finish(threads).catch(rethrow);
  }

  /** Tensors in its sections stay valid. One that is not finished leaves nothing. */
  dispose(): void {
    this.native.dispose();
  }
}

function nativeOf({ path, kind, version, source }: Preparation): NativePreparation {
  return [path, kind, version, source];
}

function rethrow(error: unknown): never {
  throw fromNative(error);
}

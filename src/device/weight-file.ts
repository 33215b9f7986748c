// A file of weights in memory, for devices to make tensors of: mapped, or read, whole or a part of it.
import { fromNative, withCodes } from "../addon/addon.js";
import type { NativeDeviceAddon, NativeMappedFile } from "../addon/addon-types.js";
import { abortedError } from "../errors.js";

/** Read at once: 50 ms or less from the page cache, so that progress is told and an abort is heard in between. */
const CHUNK = 64 * 2 ** 20;

export interface WeightFileOptions {
  /** false reads the file, off the event loop. */
  readonly mmap: boolean;
  /** Of a file that is read: what of it is there, at byte 0 then. Default: all. */
  readonly part?: { readonly offset: number; readonly bytes: number } | undefined;
  /** Bytes that have been read. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class WeightFile {
  readonly native: NativeMappedFile;

  private constructor(native: NativeMappedFile) {
    this.native = native;
  }

  /** {@link Device.open} */
  static async open(
    addon: NativeDeviceAddon,
    path: string,
    bytes: number,
    { mmap, part = { offset: 0, bytes }, onProgress, signal }: WeightFileOptions,
  ): Promise<WeightFile> {
    if (signal?.aborted) throw abortedError(signal);
    const native = withCodes(() => new addon.MappedFile(path, bytes, mmap, part.offset, part.bytes));
    try {
      for (let ready = mmap ? bytes : 0; ready < part.bytes; ) {
        ready = await native.read(CHUNK).catch((error: unknown) => {
          throw fromNative(error);
        });
        onProgress?.(ready);
        if (signal?.aborted) throw abortedError(signal);
      }
      return new WeightFile(native);
    } catch (error) {
      native.dispose();
      throw error;
    }
  }

  /** Tensors made from it stay valid; its memory goes when the last of them does. */
  dispose(): void {
    this.native.dispose();
  }
}

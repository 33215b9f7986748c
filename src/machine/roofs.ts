// What bounds any program on this machine, measured: how fast its memory is read, how fast it multiplies and adds.
import { fromNative, nativeAddon } from "../addon/addon.js";
import { abortSignal, checkArgument, oneOf, whole } from "../arguments.js";
import { abortedError } from "../errors.js";
import { lastLevelCacheBytes } from "./caches.js";
import { availableTargets } from "./machine.js";
import { availableMemory, threadsFor } from "./process-limits.js";

export interface Roofs {
  /** Bytes per second: the best of read-only passes over 512 MiB (1 GiB where caches are large), in several numbers of streams, prefetched near and far, from small pages and huge ones. */
  readBandwidth: number;
  /** f32 operations per second (a fused multiply-add is two): the best of forty short runs. */
  peak: number;
  /** Operations per second of products of 8-bit codes (a product that is added is two), by the fastest instructions of the target: the best of forty short runs. */
  integerPeak: number;
}

/** What is read in any case. */
const LEAST_BYTES = 2 ** 26;
/** Of each pattern of reading. */
const PASSES = 3;

/**
 * Bytes that are read: many times what caches hold, as far as a gigabyte is; less where a process has little memory: half of it, in which the
 * caches may have a part.
 */
export function readBytes(caches = lastLevelCacheBytes() ?? 2 ** 30, free = availableMemory()): number {
  const wanted = Math.min(2 ** 30, Math.max(2 ** 29, 16 * caches));
  return Math.min(wanted, Math.max(LEAST_BYTES, Math.floor(free / 2)));
}

/**
 * f32 operations per second that this CPU can do, as {@link Roofs.peak}: a fifth of a second.
 *
 * @param target one of `describeMachine().targets`.
 * @param threads more than `describeMachine().threads` are cut to those.
 * @throws {QuipuError} ERR_OUT_OF_MEMORY, ERR_USAGE.
 */
export async function measurePeak(target: string, threads: number): Promise<number> {
  checkArgument("target", target, oneOf(...availableTargets()));
  checkArgument("threads", threads, whole(1, 1024));
  try {
    return await measureOperations(target, threads, "f32", new Int32Array(1));
  } catch (error) {
    throw fromNative(error);
  }
}

/**
 * Measures the roofs of this CPU: one to two seconds, 512 MiB of memory (1 GiB where caches are large).
 *
 * @param target one of `describeMachine().targets`.
 * @param threads more than `describeMachine().threads` are cut to those.
 * @throws {QuipuError} ERR_ABORTED when `signal` ends it, ERR_OUT_OF_MEMORY, ERR_USAGE.
 */
export async function measureRoofs(target: string, threads: number, signal?: AbortSignal): Promise<Roofs> {
  checkArgument("target", target, oneOf(...availableTargets()));
  checkArgument("threads", threads, whole(1, 1024));
  if (signal !== undefined) checkArgument("signal", signal, abortSignal);
  if (signal?.aborted) throw abortedError(signal);
  const stop = new Int32Array(1);
  const abort = () => Atomics.store(stop, 0, 1);
  signal?.addEventListener("abort", abort);
  try {
    return {
      readBandwidth: await measureReadBandwidth(target, threads, PASSES, stop),
      peak: await measureOperations(target, threads, "f32", stop),
      integerPeak: await measureOperations(target, threads, "codes", stop),
    };
  } catch (error) {
    throw signal?.aborted ? abortedError(signal) : fromNative(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Bytes per second: the best of `passes` of each pattern; a stop[0] other than 0 ends it. One pass takes a fifth of a second and more. */
export function measureReadBandwidth(
  target: string,
  threads: number,
  passes: number,
  stop = new Int32Array(1),
): Promise<number> {
  return nativeAddon().measureReadBandwidth(target, threadsFor(threads), readBytes(), passes, stop);
}

/** Operations per second of products of f32, or of codes; a stop[0] other than 0 ends it. */
function measureOperations(target: string, threads: number, of: "f32" | "codes", stop: Int32Array): Promise<number> {
  return nativeAddon().measureOperations(target, threadsFor(threads), of === "codes", stop);
}

/** The higher one of each: what was reached once is no less of a bound when a machine is slower later. */
export function higherRoofs(a: Roofs, b: Roofs): Roofs {
  return {
    readBandwidth: Math.max(a.readBandwidth, b.readBandwidth),
    peak: Math.max(a.peak, b.peak),
    integerPeak: Math.max(a.integerPeak, b.integerPeak),
  };
}

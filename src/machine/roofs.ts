// What bounds any program on this machine, measured: how fast its memory is read, how fast it multiplies and adds.
import { fromNative, nativeAddon } from "../addon/addon.js";
import { abortSignal, checkArgument, oneOf, whole } from "../arguments.js";
import { abortedError } from "../errors.js";
import { availableTargets } from "./machine.js";
import { threadsFor } from "./process-limits.js";

export interface Roofs {
  /** Bytes per second: the best of read-only passes over 1 GiB, in several numbers of streams, prefetched near and far, from small pages and huge ones. */
  readBandwidth: number;
  /** f32 operations per second (a fused multiply-add is two): the best of three runs. */
  peak: number;
  /** Operations per second of products of 8-bit codes (a product that is added is two), by the fastest instructions of the target: the best of three runs. */
  integerPeak: number;
}

/** Of each pattern of reading, and of each peak. */
const PASSES = 3;

/**
 * Measures the roofs of this CPU: two to three seconds, 1 GiB of memory.
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
    const measured = await nativeAddon().measureRoofs(target, threadsFor(threads), 2 ** 30, PASSES, stop);
    const [readBandwidth, peak, integerPeak] = measured;
    return { readBandwidth, peak, integerPeak };
  } catch (error) {
    throw signal?.aborted ? abortedError(signal) : fromNative(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** The higher one of each: what was reached once is no less of a bound when a machine is slower later. */
export function higherRoofs(a: Roofs, b: Roofs): Roofs {
  return {
    readBandwidth: Math.max(a.readBandwidth, b.readBandwidth),
    peak: Math.max(a.peak, b.peak),
    integerPeak: Math.max(a.integerPeak, b.integerPeak),
  };
}

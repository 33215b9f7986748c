// What bounds any program on this machine, measured: how fast its memory is read, how fast it multiplies and adds.
import { fromNative, nativeAddon } from "../addon/addon.js";
import { abortSignal, checkArgument, oneOf, whole } from "../arguments.js";
import { abortedError } from "../errors.js";
import { availableTargets } from "./machine.js";
import { threadsFor } from "./process-limits.js";

export interface Roofs {
  /** Bytes per second: the best of ten read-only passes over 1 GiB. */
  readBandwidth: number;
  /** f32 operations per second (a fused multiply-add is two): the best of ten. */
  peak: number;
}

/**
 * Measures the roofs of this CPU: about two seconds, 1 GiB of memory.
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
    const [readBandwidth, peak] = await nativeAddon().measureRoofs(target, threadsFor(threads), 2 ** 30, 10, stop);
    return { readBandwidth, peak };
  } catch (error) {
    throw signal?.aborted ? abortedError(signal) : fromNative(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

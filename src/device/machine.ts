// What this machine offers: for `quipu doctor`, `--benchmark` and defaults.
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { callNative, fromNative, nativeAddon } from "../addon/addon.js";
import { availableMemory, availableThreads, threadsFor } from "../addon/process-limits.js";
import { abortSignal, checkArgument, oneOf, whole } from "../arguments.js";
import { abortedError, QuipuError } from "../errors.js";

export interface Roofs {
  /** Bytes per second: the best of ten read-only passes over 1 GiB. */
  readBandwidth: number;
  /** f32 operations per second (a fused multiply-add is two): the best of ten. */
  peak: number;
}

/** What can be said of a machine without measuring. */
export interface Machine {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  /** Instruction sets with kernels, slowest first, and the one that is used. */
  readonly targets: readonly string[];
  readonly target: string;
  readonly threads: number;
  /** Bytes. */
  readonly totalMemory: number;
  readonly freeMemory: number;
}

/** Instruction sets with kernels that this CPU can run, slowest first. */
export function availableTargets(): string[] {
  return callNative((addon) => addon.targets());
}

/**
 * The instruction set to use: the one asked for, else QUIPU_CPU, else the fastest here.
 *
 * @throws {QuipuError} ERR_DEVICE_UNAVAILABLE for one that this CPU has no kernels of.
 */
export function chooseTarget(wanted = process.env.QUIPU_CPU || undefined): string {
  const available = availableTargets();
  const target = wanted ?? available.at(-1) ?? "scalar";
  if (available.includes(target)) return target;
  throw new QuipuError(
    "ERR_DEVICE_UNAVAILABLE",
    `this CPU has no kernels "${target}" (QUIPU_CPU); it can run: ${available.join(", ")}`,
  );
}

/**
 * Measures the roofs of this CPU: about two seconds, 1 GiB of memory.
 *
 * @param target one of {@link Machine.targets}.
 * @param threads more than {@link Machine.threads} are cut to those.
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

/** @throws {QuipuError} ERR_ADDON where the native addon cannot be loaded, ERR_DEVICE_UNAVAILABLE for a QUIPU_CPU that is not here. */
export function describeMachine(): Machine {
  const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };
  const targets = availableTargets();
  const target = chooseTarget();
  return {
    version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    targets,
    target,
    threads: availableThreads(),
    totalMemory: totalmem(),
    freeMemory: availableMemory(),
  };
}

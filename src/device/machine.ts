// What this machine offers: for `quipu doctor`, `--benchmark` and defaults.
import { createRequire } from "node:module";
import { cpus, freemem, totalmem } from "node:os";
import { callNative, fromNative, nativeAddon } from "../addon/addon.js";

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

/** Threads that the machine gives this process: its affinity, cut to its cgroup's quota. */
export function availableThreads(): number {
  return callNative((addon) => addon.availableThreads());
}

/** Measures the roofs of this CPU: about two seconds, 1 GiB of memory. */
export async function measureRoofs(target: string, threads: number): Promise<Roofs> {
  try {
    const [readBandwidth, peak] = await nativeAddon().measureRoofs(target, threads, 2 ** 30, 10);
    return { readBandwidth, peak };
  } catch (error) {
    throw fromNative(error);
  }
}

/** @throws {QuipuError} ERR_ADDON where the native addon cannot be loaded. */
export function describeMachine(): Machine {
  const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };
  const targets = availableTargets();
  return {
    version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    targets,
    target: process.env.QUIPU_CPU ?? targets.at(-1) ?? "scalar",
    threads: availableThreads(),
    totalMemory: totalmem(),
    freeMemory: freemem(),
  };
}

// What this machine offers: for `quipu doctor`, `--benchmark` and defaults.
import { callNative, fromNative, nativeAddon } from "./addon.js";

export interface Roofs {
  /** Bytes per second: the best of ten read-only passes over 1 GiB. */
  readBandwidth: number;
  /** f32 operations per second (a fused multiply-add is two): the best of ten. */
  peak: number;
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

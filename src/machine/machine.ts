// What can be said of this machine without measuring: instruction sets, threads, memory.
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { callNative } from "../addon/addon.js";
import { QuipuError } from "../errors.js";
import { lastLevelCacheBytes } from "./caches.js";
import { availableMemory, availableThreads } from "./process-limits.js";

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
  /** Of all last-level caches together; undefined where the system does not tell. */
  readonly lastLevelCache: number | undefined;
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
    lastLevelCache: lastLevelCacheBytes(),
  };
}

// What can be said of this machine without measuring: instruction sets, threads, memory.
import { createRequire } from "node:module";
import { cpus, totalmem } from "node:os";
import { type AddonDescription, callNative, describeAddon } from "../addon/addon.js";
import { runtimeGlibc } from "../addon/platform.js";
import { QuipuError } from "../errors.js";
import { lastLevelCacheBytes } from "./caches.js";
import { availableMemory, availableThreads } from "./process-limits.js";

/** What can be said without the native addon. */
export interface Host {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  /** "2.36"; undefined where there is none, as with musl. */
  readonly glibc: string | undefined;
  readonly cpu: string;
  /** Bytes. */
  readonly totalMemory: number;
}

export interface Machine extends Host {
  /** The native addon: where it is, and what it was made by and for. */
  readonly addon: AddonDescription;
  /** Instruction sets with kernels, slowest first, and the one that is used. */
  readonly targets: readonly string[];
  readonly target: string;
  readonly threads: number;
  /** Bytes. */
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

/** What can be said of this machine where the native addon is missing, too. */
export function describeHost(): Host {
  const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };
  return {
    version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    glibc: runtimeGlibc(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    totalMemory: totalmem(),
  };
}

/** @throws {QuipuError} ERR_ADDON where the native addon cannot be loaded, ERR_DEVICE_UNAVAILABLE for a QUIPU_CPU that is not here. */
export function describeMachine(): Machine {
  const targets = availableTargets();
  const target = chooseTarget();
  return {
    ...describeHost(),
    addon: describeAddon(),
    targets,
    target,
    threads: availableThreads(),
    freeMemory: availableMemory(),
    lastLevelCache: lastLevelCacheBytes(),
  };
}

// Loads the native modules, and turns their errors into QuipuErrors.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { EXIT_CODES, QuipuError, type QuipuErrorCode } from "../errors.js";
import type { NativeAddon, NativeDeviceAddon } from "./addon-types.js";
import { type AddonFile, BUILD_COMMAND, BUILD_FOLDER, findAddon } from "./find-addon.js";
import { OLDEST_GLIBC, unsupportedPlatform } from "./platform.js";

/**
 * The modules of devices other than the CPU, beside quipu.node where that was built. Two are of the tests: "reference", kernels in
 * float64 that every other device is held against, and "simt", the device "cuda" on an emulator of its GPU.
 */
const OTHERS = {
  cuda: "quipu-cuda.node",
  reference: "quipu-reference.node",
  simt: "quipu-simt.node",
} as const;

export type DeviceKind = "cpu" | keyof typeof OTHERS;

/** What quipu.node this process has, and what it was made by and for. */
export interface AddonDescription extends AddonFile {
  /** "g++ 12.2.0". */
  readonly compiler: string;
  /** The glibc that it was made for, "2.28"; it runs with newer ones. Undefined of another C library. */
  readonly glibc: string | undefined;
}

const loaded = new Map<DeviceKind, NativeDeviceAddon>();

/**
 * The native module of a kind of device, loaded at the first call.
 *
 * @throws {QuipuError} ERR_ADDON when there is none for this machine, it is not built, or it cannot be loaded here.
 */
export function addonOf(kind: DeviceKind): NativeDeviceAddon {
  const known = loaded.get(kind);
  if (known !== undefined) return known;
  const addon = kind === "cpu" ? loadMain() : loadOther(kind);
  loaded.set(kind, addon);
  return addon;
}

/** The module of the CPU device, which also has what is no device's. */
export function nativeAddon(): NativeAddon {
  return addonOf("cpu") as NativeAddon;
}

/** @throws {QuipuError} as addonOf. */
export function describeAddon(): AddonDescription {
  const file = findAddon();
  const [compiler, glibc] = callNative((addon) => addon.describeBuild());
  if (file.origin === "prebuilt") return { ...file, compiler, glibc: OLDEST_GLIBC }; // linked for that one, whatever compiled it
  return { ...file, compiler, glibc: glibc === "" ? undefined : glibc };
}

function loadMain(): NativeDeviceAddon {
  const { path, origin } = findAddon();
  try {
    return load(path);
  } catch (cause) {
    const next =
      origin === "named"
        ? "QUIPU_ADDON names it."
        : `Was it made for another machine or another Node? Build it here: \`${BUILD_COMMAND}\`.`;
    throw new QuipuError("ERR_ADDON", unsupportedPlatform() ?? `${cannotLoad(path, cause)} ${next}`, { cause });
  }
}

function loadOther(kind: keyof typeof OTHERS): NativeDeviceAddon {
  const folder = process.env.QUIPU_ADDON ? dirname(process.env.QUIPU_ADDON) : BUILD_FOLDER;
  const path = join(folder, OTHERS[kind]);
  const next =
    kind === "cuda"
      ? "Build it with `npm run build:cuda` in the package's folder (needs the CUDA toolkit, 13.0 or newer)."
      : "Tests build it.";
  if (!existsSync(path)) throw new QuipuError("ERR_ADDON", `${path} does not exist. ${next}`);
  try {
    return load(path);
  } catch (cause) {
    throw new QuipuError("ERR_ADDON", `${cannotLoad(path, cause)} ${next}`, { cause });
  }
}

function load(path: string): NativeDeviceAddon {
  return createRequire(import.meta.url)(path) as NativeDeviceAddon;
}

function cannotLoad(path: string, cause: unknown): string {
  return `the native addon ${path} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}.`;
}

/**
 * A native failure as a QuipuError; anything else is an internal error with its cause.
 *
 * @param memoryOption the option of the caller that bounds memory, where one does: an ERR_OUT_OF_MEMORY names it.
 */
export function fromNative(error: unknown, memoryOption?: string): QuipuError {
  if (error instanceof QuipuError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const known = typeof code === "string" && code in EXIT_CODES ? (code as QuipuErrorCode) : "ERR_INTERNAL";
  const option = known === "ERR_OUT_OF_MEMORY" && memoryOption !== undefined ? { option: memoryOption } : {};
  return new QuipuError(known, typeof message === "string" ? message : String(error), { cause: error, ...option });
}

/** Calls into quipu.node, with its failures as QuipuErrors. */
export function callNative<T>(call: (addon: NativeAddon) => T): T {
  const addon = nativeAddon();
  return withCodes(() => call(addon));
}

/** Calls into a native module, with its failures as QuipuErrors. */
export function withCodes<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

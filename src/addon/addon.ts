// Finds and loads the native modules, and turns its errors into QuipuErrors.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT_CODES, QuipuError, type QuipuErrorCode } from "../errors.js";
import type { NativeAddon, NativeDeviceAddon } from "./addon-types.js";

/**
 * The modules, by what their devices are. Two are of the tests: "reference", kernels in float64 that every other device is held
 * against, and "simt", the device "cuda" on an emulator of its GPU.
 */
const FILES = {
  cpu: "quipu.node",
  cuda: "quipu-cuda.node",
  reference: "quipu-reference.node",
  simt: "quipu-simt.node",
} as const;

export type DeviceKind = keyof typeof FILES;

const loaded = new Map<DeviceKind, NativeDeviceAddon>();

/**
 * The native module of a kind of device, loaded at the first call. QUIPU_ADDON names another build of quipu.node, beside which
 * the others are.
 *
 * @throws {QuipuError} ERR_ADDON when it is not built or cannot be loaded here.
 */
export function addonOf(kind: DeviceKind): NativeDeviceAddon {
  const known = loaded.get(kind);
  if (known !== undefined) return known;
  const main = process.env.QUIPU_ADDON || fileURLToPath(new URL(`../../build/Release/${FILES.cpu}`, import.meta.url));
  const path = kind === "cpu" ? main : join(dirname(main), FILES[kind]);
  const addon = load(path, kind);
  loaded.set(kind, addon);
  return addon;
}

/** The module of the CPU device, which also has what is no device's. */
export function nativeAddon(): NativeAddon {
  return addonOf("cpu") as NativeAddon;
}

function load(path: string, kind: DeviceKind): NativeDeviceAddon {
  if (!existsSync(path) && kind === "cuda") {
    throw new QuipuError(
      "ERR_ADDON",
      `${path} does not exist. Build it with \`npm run build:cuda\` in the package's folder (needs the CUDA toolkit, 13.0 or newer).`,
    );
  }
  if (!existsSync(path)) {
    throw new QuipuError(
      "ERR_ADDON",
      `the native addon is not built: ${path} does not exist. Build it with \`npm run build:native\` in the package's folder ` +
        "(needs a C++20 compiler, CMake and make or ninja), and do not install with --ignore-scripts.",
    );
  }
  try {
    return createRequire(import.meta.url)(path) as NativeDeviceAddon;
  } catch (cause) {
    throw new QuipuError(
      "ERR_ADDON",
      `the native addon ${path} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        "Was it built on another machine or for another Node? `npm run build:native` builds it anew.",
      { cause },
    );
  }
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

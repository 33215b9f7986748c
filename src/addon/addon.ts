// Finds and loads the native module, and turns its errors into QuipuErrors.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { EXIT_CODES, QuipuError, type QuipuErrorCode } from "../errors.js";
import type { NativeAddon } from "./addon-types.js";

let loaded: NativeAddon | undefined;

/**
 * The native module, loaded at the first call. QUIPU_ADDON names another build of it.
 *
 * @throws {QuipuError} ERR_ADDON when it is not built or cannot be loaded here.
 */
export function nativeAddon(): NativeAddon {
  if (loaded !== undefined) return loaded;
  const path = process.env.QUIPU_ADDON || fileURLToPath(new URL("../../build/Release/quipu.node", import.meta.url));
  if (!existsSync(path)) {
    throw new QuipuError(
      "ERR_ADDON",
      `the native addon is not built: ${path} does not exist. Build it with \`npm run build:native\` in the package's folder ` +
        "(needs a C++20 compiler, CMake and make or ninja), and do not install with --ignore-scripts.",
    );
  }
  try {
    loaded = createRequire(import.meta.url)(path) as NativeAddon;
  } catch (cause) {
    throw new QuipuError(
      "ERR_ADDON",
      `the native addon ${path} cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        "Was it built on another machine or for another Node? `npm run build:native` builds it anew.",
      { cause },
    );
  }
  return loaded;
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

/** Calls into the native module, with its failures as QuipuErrors. */
export function callNative<T>(call: (addon: NativeAddon) => T): T {
  const addon = nativeAddon();
  try {
    return call(addon);
  } catch (error) {
    throw fromNative(error);
  }
}

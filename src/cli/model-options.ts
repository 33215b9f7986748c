// The options of a model, from the command line's names to the library's.
import {
  type CudaName,
  isQuipuError,
  type LoadOptions,
  loadModel,
  type Model,
  type ModelWarning,
  QuipuError,
  type Warn,
} from "../index.js";
import type { Context } from "./context.js";
import type { Progress } from "./terminal/progress.js";
import { formatBytes } from "./terminal/tables.js";

export interface ModelOptions {
  readonly model?: string;
  readonly ctxSize?: number;
  readonly quantize?: "none" | "q8" | "q4";
  readonly device?: "auto" | "cpu" | CudaName;
  readonly nGpuLayers?: number;
  readonly threads?: number;
  readonly batchSize?: number;
  readonly kvCache?: "f32" | "f16" | "int8";
  readonly mmap: boolean;
  readonly cache: boolean;
  /** No warnings. */
  readonly quiet?: boolean;
}

export function loadOptions(
  options: ModelOptions,
  progress: Progress,
  { signal }: Pick<Context, "signal">,
): LoadOptions {
  return {
    onWarning: (warning) => {
      progress.erase();
      printWarning(warning, options);
    },
    device: (options.nGpuLayers ?? 0) > 0 ? "cuda" : options.device,
    threads: options.threads,
    contextLength: options.ctxSize,
    kvCache: options.kvCache,
    batchSize: options.batchSize,
    slots: 1, // one request after the other
    quantize: options.quantize,
    mmap: options.mmap,
    cache: options.cache,
    onCacheWrite: (path, bytes) => {
      progress.erase();
      if (!options.quiet) process.stderr.write(`quipu: packed weights are kept in ${path} (${formatBytes(bytes)})\n`);
    },
    signal,
  };
}

/** An error of a device that -ngl asked for says so. */
export function withAskedDevice<T>(error: T, { nGpuLayers = 0 }: Pick<ModelOptions, "nGpuLayers">): T | QuipuError {
  if (nGpuLayers <= 0 || !isQuipuError(error) || error.option !== "device") return error;
  return new QuipuError(error.code, error.message, { cause: error, option: "nGpuLayers" });
}

/** @throws {QuipuError} as {@link loadModel} does. */
export async function loadFrom(options: ModelOptions, progress: Progress, context: Context): Promise<Model> {
  try {
    return await loadModel(options.model, {
      ...loadOptions(options, progress, context),
      onProgress: (done, total) => progress.draw("loading", done, total),
    });
  } catch (error) {
    throw withAskedDevice(error, options);
  } finally {
    progress.erase();
  }
}

/** A warning about the model's files, on stderr. */
export function printWarning({ message }: Pick<ModelWarning, "message">, { quiet = false }: { quiet?: boolean }): void {
  if (!quiet) process.stderr.write(`quipu: warning: ${message}\n`);
}

/** Prints each warning once: several readers open the same file. */
export function warningPrinter(options: { quiet?: boolean }): Warn {
  const printed = new Set<string>();
  return (_code, message) => {
    if (!printed.has(message)) printWarning({ message }, options);
    printed.add(message);
  };
}

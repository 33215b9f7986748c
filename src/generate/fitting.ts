// What would fit where memory was refused: one option after another, as a load would have it.
import { hasOwnMemory, kindOf } from "../device/device.js";
import { type Fitting, isQuipuError, QuipuError } from "../errors.js";
import { availableAddressSpace, availableMemory } from "../machine/process-limits.js";
import type { LlamaConfig } from "../model/config.js";
import { KV_CACHE_TYPES } from "../model/kv-cache.js";
import { QUANTIZATIONS } from "../model/quantization.js";
import type { FoundTensors } from "../model/tensors.js";
import { type LoadMemory, type MemoryOptions, planLoad } from "./load-memory.js";
import { largestContext } from "./shape.js";

/** Of what could be had, a part is left: what is free now may be less in a moment, and Node's own memory grows. */
const MARGIN = 0.9;
/** Of what was refused. */
const LESS = 0.99;
const BATCH_SIZES = [256, 64, 16, 1];

/** Bytes that a process can have, or needs. */
export interface Budget {
  readonly memory: number;
  /** That it maps, files included. */
  readonly addressSpace: number;
}

/**
 * Address space that a load leaves to V8 where it is limited (`ulimit -v`): its heap grows by whole pages, its compilers map code and take zones, and
 * where one of these is refused it aborts the process, which no error of ours could follow.
 */
const RESERVE = 2 ** 26;

/** What this process can have now, besides what it has, and what V8 may still need. */
export function budgetNow(): Budget {
  const addressSpace = Math.max(0, availableAddressSpace() - RESERVE);
  return { memory: Math.min(availableMemory(), addressSpace), addressSpace };
}

/** What a load can have of a device's own memory, of which so much is free: what the host maps does not count. */
export function ownBudget(free: number): Budget {
  return { memory: free, addressSpace: Number.POSITIVE_INFINITY };
}

export interface LoadOptionsForMemory extends MemoryOptions {
  readonly mmap?: boolean | undefined;
}

/** A checkpoint, as its headers tell of it. */
export interface Headers {
  readonly config: LlamaConfig;
  readonly found: FoundTensors;
  /** Of all files of weights. */
  readonly fileBytes: number;
}

function usesOwnMemory({ device = "auto" }: MemoryOptions): boolean {
  return hasOwnMemory(kindOf(device));
}

/** What a load takes for sure: mapped weights need no memory, but room; those of a GPU are copied into its own. */
function needsOf({ totalBytes, weights }: LoadMemory, options: LoadOptionsForMemory, { fileBytes }: Headers): Budget {
  if (usesOwnMemory(options)) return { memory: totalBytes, addressSpace: 0 };
  const { quantize = "none", mmap = true } = options;
  const packed = quantize === "none" ? 0 : weights.bytes;
  const beside = totalBytes - weights.bytes;
  return { memory: packed + (mmap ? 0 : fileBytes) + beside, addressSpace: packed + fileBytes + beside };
}

/** What would fit in place of what `options` ask for: each option by itself, the least change first. */
export function whatFits(headers: Headers, options: LoadOptionsForMemory, budget: Budget): Fitting {
  const { config, found } = headers;
  const own = usesOwnMemory(options);
  const has: Budget = { memory: MARGIN * budget.memory, addressSpace: MARGIN * budget.addressSpace };
  // A cache of which nothing was said takes a part of what is free: of a GPU's nearly all of it, so of what may be taken.
  const planned = (changed: LoadOptionsForMemory, free: Budget) =>
    planLoad(config, found, changed, own ? free.memory : budget.memory);
  const { shape, ...memory } = planned(options, has);
  const asked = needsOf({ shape, ...memory }, options, headers);
  // Where that should have fitted, others take memory too: then what takes clearly less does.
  const isUnexplained = asked.memory <= has.memory && asked.addressSpace <= has.addressSpace;
  const most: Budget = isUnexplained ? { memory: LESS * asked.memory, addressSpace: LESS * asked.addressSpace } : has;
  const excess = (changed: LoadOptionsForMemory) => {
    const { memory, addressSpace } = needsOf(planned(changed, most), changed, headers);
    return Math.max(memory - most.memory, addressSpace - most.addressSpace);
  };
  const fitting: Record<string, string | number | boolean> = {};
  const first = <T extends string | number | boolean>(option: keyof LoadOptionsForMemory, values: readonly T[]) => {
    const value = values.find((each) => excess({ ...options, [option]: each }) <= 0);
    if (value !== undefined) fitting[option] = value;
  };
  if (options.mmap === false && !own) first("mmap", [true]);
  const option = options.cacheTokens === undefined ? "contextLength" : "cacheTokens";
  const positions = options.cacheTokens ?? shape.contextLength;
  const largest = largestContext((size) => excess({ ...options, [option]: size }), positions, 0);
  if (largest > 0 && largest < positions) fitting[option] = largest;
  first("kvCache", KV_CACHE_TYPES.slice(KV_CACHE_TYPES.indexOf(shape.type) + 1));
  const { quantize = "none" } = options;
  const smaller = QUANTIZATIONS.slice(QUANTIZATIONS.indexOf(quantize) + 1);
  if (own) first("quantize", smaller);
  else first("quantize", quantize === "none" ? [] : [...smaller, "none"]); // those of the files are mapped
  first(
    "batchSize",
    BATCH_SIZES.filter((size) => size < shape.stepRows),
  );
  if (shape.slots > 1) first("slots", [1]);
  return fitting;
}

export function isOutOfMemory(error: unknown): error is QuipuError {
  return isQuipuError(error) && error.code === "ERR_OUT_OF_MEMORY";
}

/** An error with what would have fitted, where it is one of memory that does not say so yet. */
export function withFitting<T>(error: T, fitting: () => Fitting): T | QuipuError {
  if (!isOutOfMemory(error) || error.fitting !== undefined) return error;
  const found = fitting();
  const said = error.message.replace(/\.?$/, ".");
  if (Object.keys(found).length > 0) {
    return new QuipuError(error.code, said, { cause: error, option: error.option, fitting: found });
  }
  return new QuipuError(error.code, `${said} No option by itself makes it fit.`, { cause: error });
}

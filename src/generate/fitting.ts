// What would fit where memory was refused: one option after another, as a load would have it.
import { type Fitting, isQuipuError, QuipuError } from "../errors.js";
import { PAGE_KEYS } from "../graph/ops.js";
import { availableAddressSpace, availableMemory } from "../machine/process-limits.js";
import type { LlamaConfig } from "../model/config.js";
import { KV_CACHE_TYPES } from "../model/kv-cache.js";
import { QUANTIZATIONS } from "../model/quantization.js";
import type { FoundTensors } from "../model/tensors.js";
import { type LoadMemory, type MemoryOptions, planLoad } from "./load-memory.js";
import { chooseShape } from "./shape.js";

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

/**
 * The greatest context, up to `most`, whose bytes are at most `budget`: whole pages, or `most` itself. 0 where none is.
 *
 * @param bytesAt grows with the context, as a line does but for steps.
 */
export function largestContext(bytesAt: (context: number) => number, most: number, budget: number): number {
  const contextOf = (pages: number) => Math.min(pages * PAGE_KEYS, most);
  const at = (pages: number) => ({ pages, bytes: bytesAt(contextOf(pages)) });
  let [low, high] = [at(1), at(Math.ceil(most / PAGE_KEYS))];
  if (high.bytes <= budget) return most;
  if (low.bytes > budget) return 0;
  while (high.pages - low.pages > 1) {
    const share = Math.min(Math.max((budget - low.bytes) / (high.bytes - low.bytes), 0), 1);
    const guess = low.pages + Math.floor(share * (high.pages - low.pages));
    const middle = at(Math.min(Math.max(guess, low.pages + 1), high.pages - 1));
    if (middle.bytes <= budget) low = middle;
    else high = middle;
  }
  return contextOf(low.pages);
}

/** What a load takes for sure: mapped weights need no memory, but room. */
function needsOf(
  { totalBytes, weights }: LoadMemory,
  { quantize = "none", mmap = true }: LoadOptionsForMemory,
  { fileBytes }: Headers,
): Budget {
  const packed = quantize === "none" ? 0 : weights.bytes;
  const beside = totalBytes - weights.bytes;
  return { memory: packed + (mmap ? 0 : fileBytes) + beside, addressSpace: packed + fileBytes + beside };
}

/** What would fit in place of what `options` ask for: each option by itself, the least change first. */
export function whatFits(headers: Headers, options: LoadOptionsForMemory, budget: Budget): Fitting {
  const { config, found } = headers;
  const needs = (changed: LoadOptionsForMemory) =>
    needsOf(planLoad(config, found, changed, budget.memory), changed, headers);
  const has: Budget = { memory: MARGIN * budget.memory, addressSpace: MARGIN * budget.addressSpace };
  const asked = needs(options);
  // Where that should have fitted, others take memory too: then what takes clearly less does.
  const isUnexplained = asked.memory <= has.memory && asked.addressSpace <= has.addressSpace;
  const most: Budget = isUnexplained ? { memory: LESS * asked.memory, addressSpace: LESS * asked.addressSpace } : has;
  const excess = (changed: LoadOptionsForMemory) => {
    const { memory, addressSpace } = needs(changed);
    return Math.max(memory - most.memory, addressSpace - most.addressSpace);
  };
  const shape = chooseShape(config, options, budget.memory);
  const fitting: Record<string, string | number | boolean> = {};
  const first = <T extends string | number | boolean>(option: keyof LoadOptionsForMemory, values: readonly T[]) => {
    const value = values.find((each) => excess({ ...options, [option]: each }) <= 0);
    if (value !== undefined) fitting[option] = value;
  };
  if (options.mmap === false) first("mmap", [true]);
  const option = options.cacheTokens === undefined ? "contextLength" : "cacheTokens";
  const positions = options.cacheTokens ?? shape.contextLength;
  const largest = largestContext((size) => excess({ ...options, [option]: size }), positions, 0);
  if (largest > 0 && largest < positions) fitting[option] = largest;
  first("kvCache", KV_CACHE_TYPES.slice(KV_CACHE_TYPES.indexOf(shape.type) + 1));
  const { quantize = "none" } = options;
  first("quantize", quantize === "none" ? [] : [...QUANTIZATIONS.slice(QUANTIZATIONS.indexOf(quantize) + 1), "none"]);
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

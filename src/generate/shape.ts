// How large a model's context, cache and steps are: what was asked for, and what fits the memory where nothing was.
import { wrongArgument } from "../arguments.js";
import { QuipuError } from "../errors.js";
import { PAGE_KEYS } from "../graph/ops.js";
import type { LlamaConfig } from "../model/config.js";
import { bytesPerPosition, type KvCacheType, wholePages } from "../model/kv-cache.js";
import type { RuntimeShape } from "../model/runtime.js";

export const DEFAULT_BATCH_SIZE = 512;
const DEFAULT_SLOTS = 8;
/** A page has a number of 31 bits. */
const MOST_CACHE_TOKENS = PAGE_KEYS * (2 ** 31 - 1);

/** Options of a load, as LoadOptions has them. */
export interface ShapeOptions {
  readonly contextLength?: number | undefined;
  readonly cacheTokens?: number | undefined;
  readonly kvCache?: KvCacheType | undefined;
  readonly slots?: number | undefined;
  readonly batchSize?: number | undefined;
}

/**
 * The context that was asked for, or what the model supports; and a cache as large as was asked for, or with such a context for every
 * slot. What was not asked for stays within half of the `free` bytes.
 */
export function chooseShape(
  config: LlamaConfig,
  { contextLength, cacheTokens, kvCache: type = "f16", ...given }: ShapeOptions,
  free: number,
): RuntimeShape {
  const { slots = DEFAULT_SLOTS, batchSize = DEFAULT_BATCH_SIZE } = given;
  const fits = Math.floor(free / 2 / bytesPerPosition(config, type));
  const most = Math.min(config.maxPositions, cacheTokens ?? config.maxPositions);
  const context = contextLength ?? Math.max(Math.min(most, 64), Math.min(most, fits));
  const positions = wholePages(context);
  return {
    ...{ slots, type, contextLength: context },
    cacheTokens: cacheTokens ?? Math.min(slots * positions, Math.max(positions, fits)),
    stepRows: Math.min(batchSize, slots * context) + slots - 1, // rows of prompts, and who decodes beside
  };
}

/** @throws {QuipuError} ERR_OUT_OF_MEMORY for a cache that was asked for and is larger than all that is free. */
export function checkFree(
  config: LlamaConfig,
  { contextLength, cacheTokens, kvCache: type = "f16" }: ShapeOptions,
  free: number,
): void {
  for (const [option, wanted = 0] of Object.entries({ cacheTokens, contextLength })) {
    const needed = wanted * bytesPerPosition(config, type);
    if (needed <= free) continue;
    throw new QuipuError(
      "ERR_OUT_OF_MEMORY",
      `a ${type} cache of ${wanted} positions needs ${mebibytes(needed)}, ${mebibytes(free)} are free.`,
      { option },
    );
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}

/** @throws {QuipuError} ERR_USAGE for sizes that the model has not, or that contradict each other. */
export function checkAsked(config: LlamaConfig, { contextLength, cacheTokens }: ShapeOptions): void {
  if (contextLength !== undefined && contextLength > config.maxPositions) {
    const expected = `a whole number from 2 to ${config.maxPositions}, as the model has`;
    throw wrongArgument("contextLength", expected, contextLength);
  }
  if (cacheTokens !== undefined && cacheTokens > MOST_CACHE_TOKENS) {
    throw wrongArgument("cacheTokens", `a whole number from 2 to ${MOST_CACHE_TOKENS}`, cacheTokens);
  }
  if (cacheTokens !== undefined && contextLength !== undefined && cacheTokens < contextLength) {
    throw wrongArgument("cacheTokens", `at least contextLength, ${contextLength}`, cacheTokens);
  }
}

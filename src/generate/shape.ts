// How large a model's context, cache and steps are: what was asked for, and what fits the memory where nothing was. Of the host's memory, which
// others use too, a cache that nobody asked for may have half; of a GPU's own all but a tenth of what weights and steps leave.
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

/** Of what weights and steps leave of a GPU's memory; its driver rounds up, and graphs of launches, logits of many rows and more best ids come later. */
const CACHE_SHARE = 0.9;

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

/**
 * The context that was asked for, or what the model supports; and a cache as large as was asked for, or with such a context for every
 * slot. What was not asked for stays within half of the `free` bytes.
 */
export function chooseShape(config: LlamaConfig, options: ShapeOptions, free: number): RuntimeShape {
  const { contextLength, cacheTokens, kvCache = "f16", slots = DEFAULT_SLOTS } = options;
  const fits = Math.floor(free / 2 / bytesPerPosition(config, kvCache));
  const most = mostPositions(config, options);
  const context = contextLength ?? Math.max(Math.min(most, PAGE_KEYS), Math.min(most, fits));
  const positions = wholePages(context);
  return shapeOf(options, context, cacheTokens ?? Math.min(slots * positions, Math.max(positions, fits)));
}

/** What a load of some shape takes, in bytes: of its cache, and in all. */
export type Measure = (shape: RuntimeShape) => { readonly cacheBytes: number; readonly totalBytes: number };

/**
 * The same of a device with memory of its own, of which so much is free before the weights are there: what was not asked for takes
 * {@link CACHE_SHARE} of what weights and steps leave, and no more than a whole context for every slot.
 */
export function fillShape(config: LlamaConfig, options: ShapeOptions, free: number, measure: Measure): RuntimeShape {
  const { contextLength, cacheTokens, kvCache = "f16", slots = DEFAULT_SLOTS } = options;
  const most = mostPositions(config, options);
  const oneOf = (context: number) => shapeOf(options, context, cacheTokens ?? wholePages(context));
  const bytesAt = (context: number) => {
    const { totalBytes, cacheBytes } = measure(oneOf(context));
    return totalBytes - cacheBytes + cacheBytes / CACHE_SHARE;
  };
  const context = contextLength ?? Math.max(Math.min(most, PAGE_KEYS), largestContext(bytesAt, most, free));
  if (cacheTokens !== undefined) return oneOf(context);
  const more = Math.max(0, CACHE_SHARE * (free - bytesAt(context)));
  const positions = wholePages(context);
  const fits = positions + PAGE_KEYS * Math.floor(more / bytesPerPosition(config, kvCache) / PAGE_KEYS);
  return shapeOf(options, context, Math.min(slots * positions, fits));
}

/** Of a context that was not asked for. */
function mostPositions({ maxPositions }: LlamaConfig, { cacheTokens = maxPositions }: ShapeOptions): number {
  return Math.min(maxPositions, cacheTokens);
}

function shapeOf(
  { kvCache: type = "f16", slots = DEFAULT_SLOTS, batchSize = DEFAULT_BATCH_SIZE }: ShapeOptions,
  contextLength: number,
  cacheTokens: number,
): RuntimeShape {
  const stepRows = Math.min(batchSize, slots * contextLength) + slots - 1; // rows of prompts, and who decodes beside
  return { slots, type, contextLength, cacheTokens, stepRows };
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

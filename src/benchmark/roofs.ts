// Rates of a model in the unit of what bounds them, and their shares of that.
import { PACKED } from "../device/formats.js";
import type { ModelStats } from "../generate/model.js";
import type { Roofs } from "../machine/roofs.js";
import type { LlamaConfig } from "../model/config.js";

/** A rate in the unit of what bounds it, and its share of that. */
export interface Roof {
  readonly unit: "GB/s" | "GFLOP/s" | "GOP/s";
  readonly value: number;
  /** Left out where a cache may hold what is read, which the bandwidth of the memory does not bound. */
  readonly share?: number;
  /** The share is more than {@link MOST_SHARE}, although the roof was measured once more. */
  readonly above?: true;
}

/** More than this of a roof is not noise: the roof was measured too low. */
const MOST_SHARE = 1.02;

type Weights = Pick<
  ModelStats,
  "formats" | "weightBytesPerToken" | "cacheBytesPerPosition" | "flopsPerPromptToken" | "flopsPerLogits"
>;

/** What bounds a prompt of `tokens` behind `depth`, at `rate` tokens/s: the multipliers, of codes where the model has some. */
export function promptRoof(
  config: Pick<LlamaConfig, "layers" | "heads" | "headSize">,
  { formats, flopsPerPromptToken, flopsPerLogits }: Weights,
  { peak, integerPeak }: Roofs,
  { rate, tokens, depth }: Measured,
): Roof {
  // Scores and weighted values: 4 d H flops for every key that a row sees.
  const keys = tokens * depth + (tokens * (tokens + 1)) / 2;
  const attention = 4 * config.layers * config.heads * config.headSize * keys;
  const value = rate * (flopsPerPromptToken + (flopsPerLogits + attention) / tokens);
  const packed = formats.some(({ format }) => (PACKED as readonly string[]).includes(format));
  return packed
    ? { unit: "GOP/s", value: value / 1e9, share: value / integerPeak }
    : { unit: "GFLOP/s", value: value / 1e9, share: value / peak };
}

/** What bounds the decoding of `tokens` behind `depth`, at `rate` tokens/s: the memory, unless the weights nearly fit a cache of `lastLevelCache` bytes. */
export function decodeRoof(
  { weightBytesPerToken, cacheBytesPerPosition }: Weights,
  { readBandwidth }: Roofs,
  { rate, tokens, depth }: Measured,
  lastLevelCache: number,
): Roof {
  const bytes = weightBytesPerToken + cacheBytesPerPosition * (depth + tokens / 2);
  const value = rate * bytes;
  const share = bytes < 2 * lastLevelCache ? {} : { share: value / readBandwidth };
  return { unit: "GB/s", value: value / 1e9, ...share };
}

/** Tokens/s of so many tokens that came after `depth`. */
export interface Measured {
  readonly rate: number;
  readonly tokens: number;
  readonly depth: number;
}

/**
 * What `shares` makes of `roofs`; where one is above its roof, what it makes of the roofs measured again too (`again`), and
 * what is above them even then is marked.
 */
export async function belowRoofs<Name extends string>(
  roofs: Roofs,
  shares: (roofs: Roofs) => Readonly<Record<Name, Roof>>,
  again: () => Promise<Roofs>,
): Promise<{ roofs: Roofs; shares: Readonly<Record<Name, Roof>> }> {
  const isAbove = ({ share = 0 }: Roof) => share > MOST_SHARE;
  const first = shares(roofs);
  if (!Object.values<Roof>(first).some(isAbove)) return { roofs, shares: first };
  const higher = await again();
  const marked = Object.entries<Roof>(shares(higher)).map(([name, roof]) => [
    name,
    isAbove(roof) ? { ...roof, above: true } : roof,
  ]);
  return { roofs: higher, shares: Object.fromEntries(marked) };
}

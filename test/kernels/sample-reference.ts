// sample to the letter of docs/numerics.md, without the kernel's shortcuts: everything is ranked, nothing is pruned.
import { exp, fround, rint, sumLanes, uniform } from "./canonical.js";

const { max, min } = Math;
const BLOCK = 512;

export interface Settings {
  readonly temperature: number;
  readonly topP: number;
  readonly minP: number;
  readonly repeatPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly topK: number;
  readonly promptLength: number;
  readonly seedLow: number;
  readonly seedHigh: number;
  readonly biases: readonly (readonly [id: number, bias: number])[];
}

export const PLAIN: Settings = {
  temperature: 1,
  topP: 1,
  minP: 0,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  topK: 0,
  promptLength: 0,
  seedLow: 1,
  seedHigh: 0,
  biases: [],
};

/** The logits after penalties over `history`, the ids at positions up to the row's own, and biases. */
export function processed(logits: Float32Array, settings: Settings, history: readonly number[]): Float32Array {
  const [repeat, presence, frequency] = [
    fround(settings.repeatPenalty),
    fround(settings.presencePenalty),
    fround(settings.frequencyPenalty),
  ];
  const out = logits.slice();
  for (const id of new Set(history)) {
    if (id < 0) continue;
    out[id] = out[id]! > 0 ? out[id]! / repeat : out[id]! * repeat;
    const count = history.filter((other, position) => other === id && position >= settings.promptLength).length;
    if (count > 0) out[id] = fround(out[id]! - fround(count * frequency)) - presence;
  }
  for (const [id, bias] of settings.biases) {
    const biased = out[id]! + fround(bias);
    out[id] = Number.isNaN(biased) ? Number.NEGATIVE_INFINITY : biased;
  }
  return out;
}

export function greatestOf(logits: Float32Array): number {
  let greatest = logits[0]!;
  for (let i = 1; i < logits.length; i++) greatest = max(greatest, logits[i]!);
  return greatest;
}

/** exp((logit − greatest) / temperature) in f32. */
export function weightsOf(logits: Float32Array, temperature: number): Float32Array {
  const greatest = greatestOf(logits);
  const t = fround(temperature);
  return logits.map((logit) => exp(fround(fround(logit - greatest) / t)));
}

/** The sums of the blocks of 512 in sixteen lanes. */
export function blockSums(weights: Float32Array): number[] {
  const sums: number[] = [];
  for (let begin = 0; begin < weights.length; begin += BLOCK) {
    const lanes = new Float32Array(16);
    for (let i = begin; i < min(begin + BLOCK, weights.length); i++) lanes[i % 16]! += weights[i]!;
    sums.push(sumLanes(lanes));
  }
  return sums;
}

export const sum = (numbers: Iterable<number>) => {
  let total = 0;
  for (const x of numbers) total += x;
  return total;
};

/** Ids by descending logit, ties by ascending id. */
export function ranked(logits: Float32Array): number[] {
  return Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
}

/** Weights as the whole numbers that they count as. */
function wholes(weights: Float32Array): bigint[] {
  const scale = 2 ** min(51, 63 - (32 - Math.clz32(weights.length)));
  return Array.from(weights, (weight) => BigInt(rint(weight * scale)));
}

const total = (numbers: readonly bigint[]) => numbers.reduce((sum, x) => sum + x, 0n);

/** The id that is picked from processed logits. */
export function pick(logits: Float32Array, settings: Settings, position: number): number {
  const greatest = greatestOf(logits);
  if (!(settings.temperature > 0) || !Number.isFinite(greatest)) return logits.indexOf(greatest);
  const weights = weightsOf(logits, settings.temperature);
  const counts = wholes(weights);
  const kept = keptIds(logits, weights, counts, settings).sort((a, b) => a - b);
  const u = BigInt(uniform([settings.seedLow, settings.seedHigh], position) * 2 ** 53);
  const target = (u * total(kept.map((id) => counts[id]!))) >> 53n;
  let running = 0n;
  for (const id of kept) {
    running += counts[id]!;
    if (target < running) return id;
  }
  throw new Error("u · Σ is not below Σ");
}

/** What top-k, top-p and min-p keep. */
function keptIds(logits: Float32Array, weights: Float32Array, counts: readonly bigint[], settings: Settings): number[] {
  const { topK } = settings;
  const topP = fround(settings.topP);
  const minP = settings.minP > 0 ? min(fround(settings.minP), 1) : 0; // the greatest, whose weight is 1, always stays
  let kept = topK > 0 || topP < 1 ? ranked(logits) : [...logits.keys()];
  if (topK > 0) kept = kept.slice(0, topK);
  if (topP < 1) {
    const mass = total(kept.map((id) => counts[id]!)) * BigInt(max(topP, 0) * 2 ** 149); // exact: p is a whole number of 2⁻¹⁴⁹
    let reached = 0n;
    kept = kept.filter((id, rank) => {
      const short = rank === 0 || reached << 149n < mass;
      reached += counts[id]!;
      return short;
    });
  }
  return kept.filter((id) => weights[id]! >= minP);
}

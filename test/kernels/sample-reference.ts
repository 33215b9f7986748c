// sample to the letter of docs/numerics.md, without the kernel's shortcuts: everything is ranked, nothing is pruned.
import { exp, fround, sumLanes, uniform } from "./canonical.js";

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

/** The id that is picked from processed logits. */
export function pick(logits: Float32Array, settings: Settings, position: number): number {
  const greatest = greatestOf(logits);
  if (!(settings.temperature > 0) || !Number.isFinite(greatest)) return logits.indexOf(greatest);
  const u = uniform([settings.seedLow, settings.seedHigh], position);
  const weights = weightsOf(logits, settings.temperature);
  const { topK } = settings;
  const [topP, minP] = [fround(settings.topP), fround(settings.minP)];
  return topK > 0 || topP < 1 || minP > 0
    ? pickFiltered(ranked(logits), weights, u, topK, topP, minP)
    : pickFromAll(weights, u);
}

function pickFiltered(ranking: number[], weights: Float32Array, u: number, topK: number, topP: number, minP: number) {
  const cut = topK > 0 && topK < ranking.length;
  const left = cut ? ranking.slice(0, topK) : ranking;
  const mass = cut ? sum(left.map((id) => weights[id]!)) : sum(blockSums(weights));
  const kept: number[] = [];
  let reached = 0;
  for (const id of left) {
    const enough = weights[id] === 0 || weights[id]! < minP || (topP < 1 && reached >= topP * mass);
    if (kept.length > 0 && enough) break;
    kept.push(id);
    reached += weights[id]!;
  }
  let running = 0;
  for (const id of kept) {
    running += weights[id]!;
    if (u * reached < running) return id;
  }
  return kept.at(-1)!;
}

function pickFromAll(weights: Float32Array, u: number): number {
  const sums = blockSums(weights);
  const target = u * sum(sums);
  let before = 0;
  for (const [block, blockSum] of sums.entries()) {
    if (target < before + blockSum) {
      let running = before;
      let last = -1;
      for (let id = block * BLOCK; id < min((block + 1) * BLOCK, weights.length); id++) {
        if (weights[id] === 0) continue;
        last = id;
        running += weights[id]!;
        if (target < running) break;
      }
      return last;
    }
    before += blockSum;
  }
  throw new Error("u · Σ is not below Σ");
}

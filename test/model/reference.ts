// Reads the goldens in test/reference (its README.md says what is in them and how they were made) and finds the SmolLM2 folder.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's folder; this file runs as build/test/model/reference.js. */
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const REFERENCE = join(ROOT, "test", "reference");
const TINY = join(REFERENCE, "tiny");

/** max |Δ| of the logits of one position, as a share of the reference's max |logit| there (docs/numerics.md). */
export const LOGIT_TOLERANCE = 1e-4;

/** Greedily chosen tokens: at each, the reference's best logit minus its second best, and its max |logit|. */
export interface Greedy {
  readonly ids: readonly number[];
  readonly margins: readonly number[];
  readonly maxAbsLogit: readonly number[];
}

/** One prompt of a golden, with reference logits (some or all of the vocabulary) at `positions`. */
export interface ReferencePrompt {
  readonly name: string;
  readonly ids: readonly number[];
  /** The positions that {@link relativeError} knows, ascending. */
  readonly positions: readonly number[];
  readonly greedy: Greedy;
  /**
   * How far `logits` [V] of the token at `position` are from the reference's: max |Δ| over the recorded entries, divided by
   * the reference's max |logit| at this position. Infinity where a logit is NaN.
   */
  relativeError(position: number, logits: Float32Array): number;
}

export interface ReferenceTap {
  readonly name: string;
  readonly shape: readonly [rows: number, hidden: number];
  readonly data: Float32Array;
}

export interface TinyPrompt extends ReferencePrompt {
  readonly logits: Float32Array; // [positions, V]
  readonly taps?: readonly ReferenceTap[];
}

/** A tiny checkpoint with its goldens. */
export interface TinyReference {
  readonly name: string;
  readonly folder: string;
  readonly about: string;
  readonly vocabSize: number;
  readonly inverseFrequencies: readonly number[]; // [d / 2]
  readonly prompts: readonly TinyPrompt[];
}

export interface SmollmPrompt extends ReferencePrompt {
  /** What was tokenized; for a conversation, `messages` as the chat template renders them with a generation prompt. */
  readonly text: string;
  readonly messages?: readonly { readonly role: string; readonly content: string }[];
  /** Complete logits of two positions, of one prompt only. */
  readonly full?: { readonly positions: readonly number[]; readonly logits: Float32Array };
}

interface StoredArray {
  readonly file: string;
  readonly shape: readonly number[];
}

interface StoredTiny {
  readonly name: string;
  readonly about: string;
  readonly inverseFrequencies: readonly number[];
  readonly prompts: readonly {
    readonly name: string;
    readonly ids: readonly number[];
    readonly positions: readonly number[];
    readonly logits: StoredArray;
    readonly maxAbsLogit: readonly number[];
    readonly greedy: Greedy;
    readonly taps?: StoredArray & { readonly names: readonly string[] };
  }[];
}

interface StoredSmollm {
  readonly vocabSize: number;
  readonly top: number;
  readonly sampled: number;
  readonly prompts: readonly {
    readonly name: string;
    readonly text: string;
    readonly messages?: readonly { readonly role: string; readonly content: string }[];
    readonly ids: readonly number[];
    readonly maxAbsLogit: string;
    readonly topIds: string;
    readonly topLogits: string;
    readonly sampledLogits: string;
    readonly greedy: { readonly ids: readonly number[]; readonly margins: string; readonly maxAbsLogit: string };
    readonly full?: StoredArray & { readonly positions: readonly number[] };
  }[];
}

/** The names of the tiny checkpoints. */
export function tinyNames(): string[] {
  return readdirSync(TINY).sort();
}

export function loadTiny(name: string): TinyReference {
  const folder = join(TINY, name);
  const stored = readJson(join(folder, "golden.json")) as StoredTiny;
  const vocabSize = stored.prompts[0]!.logits.shape[1]!;
  const prompts = stored.prompts.map(({ maxAbsLogit, ...prompt }): TinyPrompt => {
    const logits = readFloats(folder, prompt.logits);
    return {
      name: prompt.name,
      ids: prompt.ids,
      positions: prompt.positions,
      greedy: prompt.greedy,
      logits,
      ...(prompt.taps && { taps: splitTaps(prompt.taps.names, prompt.taps.shape, readFloats(folder, prompt.taps)) }),
      relativeError(position, actual) {
        const row = indexOf(prompt.positions, position);
        expectLength(actual, vocabSize);
        let worst = 0;
        for (let id = 0; id < vocabSize; id++) worst = larger(worst, logits[row * vocabSize + id]! - actual[id]!);
        return worst / maxAbsLogit[row]!;
      },
    };
  });
  return {
    name,
    folder,
    about: stored.about,
    vocabSize,
    inverseFrequencies: stored.inverseFrequencies,
    prompts,
  };
}

/** The eight prompts of SmolLM2, each with reference logits at every position: the 8 best, 64 sampled ones, the largest. */
export function loadSmollm2(): { readonly vocabSize: number; readonly prompts: readonly SmollmPrompt[] } {
  const { vocabSize, top, sampled, prompts } = readJson(join(REFERENCE, "smollm2.json")) as StoredSmollm;
  return {
    vocabSize,
    prompts: prompts.map((stored, index): SmollmPrompt => {
      const maxAbsLogit = floats(stored.maxAbsLogit);
      const topIds = new Uint16Array(decoded(stored.topIds));
      const topLogits = floats(stored.topLogits);
      const sampledLogits = floats(stored.sampledLogits);
      return {
        name: stored.name,
        text: stored.text,
        ...(stored.messages && { messages: stored.messages }),
        ids: stored.ids,
        positions: stored.ids.map((_, position) => position),
        greedy: {
          ids: stored.greedy.ids,
          margins: [...floats(stored.greedy.margins)],
          maxAbsLogit: [...floats(stored.greedy.maxAbsLogit)],
        },
        ...(stored.full && {
          full: { positions: stored.full.positions, logits: readFloats(REFERENCE, stored.full) },
        }),
        relativeError(position, actual) {
          const scale = maxAbsLogit[position];
          if (scale === undefined) throw new Error(`no reference logits at position ${position}`);
          expectLength(actual, vocabSize);
          let worst = larger(0, scale - maxAbs(actual));
          for (let k = 0; k < top; k++)
            worst = larger(worst, topLogits[position * top + k]! - actual[topIds[position * top + k]!]!);
          for (const [j, id] of sampledIds(index, position, vocabSize, sampled).entries())
            worst = larger(worst, sampledLogits[position * sampled + j]! - actual[id]!);
          return worst / scale;
        },
      };
    }),
  };
}

/** The ids whose logits smollm2.json keeps at `position` of prompt number `prompt`: one in each of `count` equal strata. */
export function sampledIds(prompt: number, position: number, vocabSize: number, count: number): number[] {
  const width = vocabSize / count;
  return Array.from({ length: count }, (_, j) => j * width + ((401 * position + 97 * prompt) % width));
}

/**
 * Where a greedy continuation is wrong: the index of the first id that differs from the reference's although the reference's
 * margin there exceeds twice the tolerance, or −1. After an uncertain choice went the other way the texts cannot be compared.
 */
export function firstWrongToken(reference: Greedy, ids: readonly number[]): number {
  const at = reference.ids.findIndex((id, i) => ids[i] !== id);
  return at >= 0 && isCertain(reference, at) ? at : -1;
}

/** Whether the reference's margin at generated token `at` exceeds twice the tolerance, so that nobody may choose another. */
export function isCertain(reference: Greedy, at: number): boolean {
  return reference.margins[at]! > 2 * LOGIT_TOLERANCE * reference.maxAbsLogit[at]!;
}

/**
 * The SmolLM2-135M-Instruct checkpoint folder: $QUIPU_SMOLLM2, or build/models/smollm2, made there from ../shared (or
 * $QUIPU_SHARED) where python3 has gguf and numpy. Without it prints why and returns undefined.
 */
export function smollm2Folder(): string | undefined {
  const named = process.env.QUIPU_SMOLLM2;
  if (named !== undefined && named !== "") {
    if (!existsSync(join(named, "config.json"))) throw new Error(`QUIPU_SMOLLM2=${named} holds no config.json`);
    return named;
  }
  const made = spawnSync(join(ROOT, "scripts", "make-smollm2.sh"), ["--no-install"], { encoding: "utf8" });
  if (made.status === 0) return join(ROOT, "build", "models", "smollm2");
  const reason = made.error?.message ?? made.stderr.trim();
  if (made.status !== 3 && made.error === undefined) throw new Error(`scripts/make-smollm2.sh failed: ${reason}`);
  process.stderr.write(`SmolLM2 tests are skipped: ${reason}\n`);
  return undefined;
}

function splitTaps(names: readonly string[], [taps, rows, hidden]: readonly number[], data: Float32Array) {
  if (taps !== names.length) throw new Error(`${names.length} tap names for ${taps} taps`);
  const size = rows! * hidden!;
  return names.map((name, i): ReferenceTap => {
    return { name, shape: [rows!, hidden!], data: data.slice(i * size, (i + 1) * size) };
  });
}

function larger(worst: number, difference: number): number {
  const size = Math.abs(difference);
  return size <= worst ? worst : Number.isNaN(size) ? Number.POSITIVE_INFINITY : size;
}

function maxAbs(values: Float32Array): number {
  return values.reduce((worst, value) => larger(worst, value), 0);
}

function indexOf(positions: readonly number[], position: number): number {
  const index = positions.indexOf(position);
  if (index < 0) throw new Error(`no reference logits at position ${position}`);
  return index;
}

function expectLength(logits: Float32Array, vocabSize: number): void {
  if (logits.length !== vocabSize) throw new Error(`expected ${vocabSize} logits, got ${logits.length}`);
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

function readFloats(folder: string, { file, shape }: StoredArray): Float32Array {
  const values = new Float32Array(Uint8Array.from(readFileSync(join(folder, file))).buffer);
  const size = shape.reduce((product, n) => product * n, 1);
  if (values.length !== size) throw new Error(`${file}: expected ${size} floats, got ${values.length}`);
  return values;
}

/** The bytes of a base64 string in a buffer of their own, as typed arrays of wider elements need it. */
function decoded(base64: string): ArrayBuffer {
  return Uint8Array.from(Buffer.from(base64, "base64")).buffer;
}

function floats(base64: string): Float32Array {
  return new Float32Array(decoded(base64));
}

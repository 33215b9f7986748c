// Runs models in tests: a whole completion at once, and the runtime below the library where a test decides what is in a step.
import { openCheckpoint } from "#quipu/checkpoint/checkpoint.js";
import { Device, openDevice } from "#quipu/device/device.js";
import { FUSIONS, type Fusion } from "#quipu/device/fusions.js";
import type { EndEvent, GenerateOptions, Prompt, StartEvent, TokenEvent } from "#quipu/generate/events.js";
import { type LoadOptions, loadModel } from "#quipu/generate/load.js";
import type { Model } from "#quipu/generate/model.js";
import { PAGE_KEYS } from "#quipu/graph/ops.js";
import { chooseTarget } from "#quipu/machine/machine.js";
import { readConfig } from "#quipu/model/config.js";
import type { KvCacheType } from "#quipu/model/kv-cache.js";
import type { Quantization } from "#quipu/model/quantization.js";
import { type Row, Runtime, type SampledRow, type SampledToken } from "#quipu/model/runtime.js";
import type { SamplingSettings } from "#quipu/model/slot-state.js";
import { disposeWeights, loadWeights } from "#quipu/model/weights.js";

export interface Completion {
  readonly start: StartEvent;
  readonly tokens: readonly TokenEvent[];
  readonly end: EndEvent;
  readonly ids: readonly number[];
  readonly text: string;
}

/** Generates to the end; checks that the events come as promised: one start, tokens, one end. */
export async function complete(model: Model, prompt: Prompt, options: GenerateOptions = {}): Promise<Completion> {
  const events = [];
  for await (const event of model.generate(prompt, options)) events.push(event);
  const [start, ...rest] = events;
  const end = rest.pop();
  const tokens = rest.filter((event) => event.type === "token");
  if (start?.type !== "start" || end?.type !== "end" || tokens.length !== rest.length) {
    throw new Error(`events out of order: ${events.map(({ type }) => type)}`);
  }
  const text = tokens.map((token) => token.text).join("") + end.text;
  return { start, tokens, end, ids: tokens.map(({ id }) => id), text };
}

/** Loads a model without a tokenizer unless told otherwise, and disposes of it afterwards. */
export async function withModel<T>(dir: string, options: LoadOptions, body: (model: Model) => Promise<T>): Promise<T> {
  const model = await loadModel(dir, { tokenizer: false, ...options });
  try {
    return await body(model);
  } finally {
    await model.dispose();
  }
}

export interface RuntimeOptions {
  /** Another device than the CPU. */
  readonly device?: "reference" | "cuda" | "simt";
  readonly target?: string;
  /** Default 2; may be more than there are processors. */
  readonly threads?: number;
  readonly kvCache?: KvCacheType;
  readonly slots?: number;
  readonly contextLength?: number;
  /** Default: the context for each slot. */
  readonly cacheTokens?: number;
  readonly mmap?: boolean;
  readonly quantize?: Quantization;
  /** The most rows that a step may have; default 600. */
  readonly stepRows?: number;
  /** Default: all. */
  readonly fusions?: readonly Fusion[];
}

/** A runtime of a checkpoint, gone afterwards. */
export async function withRuntime<T>(
  dir: string,
  {
    kvCache = "f32",
    slots = 1,
    contextLength = 512,
    mmap = true,
    threads = 2,
    stepRows = 600,
    ...given
  }: RuntimeOptions,
  body: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const { target, device: other, fusions = FUSIONS, quantize } = given;
  const { cacheTokens = slots * PAGE_KEYS * Math.ceil(contextLength / PAGE_KEYS) } = given;
  const device =
    other === undefined ? new Device("cpu", chooseTarget(target), threads, { fusions }) : openDevice({ device: other });
  const config = await readConfig(dir);
  const { weights } = await loadWeights(device, await openCheckpoint(dir), config, { mmap, quantize });
  const shape = { slots, contextLength, cacheTokens, type: kvCache, stepRows };
  const runtime = await Runtime.create(device, config, weights, shape);
  try {
    return await body(runtime);
  } finally {
    await device.dispose();
    runtime.dispose();
    disposeWeights(device, weights);
  }
}

/** Pages of a slot, where every slot has as many: no two have one in common. */
export function pagesOf({ cache }: Runtime, slot: number): Int32Array {
  return Int32Array.from({ length: cache.blocks }, (_, block) => slot * cache.blocks + block);
}

/** Begins a sequence in a slot, which has as many pages as every other. */
export async function begin(
  runtime: Runtime,
  slot: number,
  prompt: Int32Array,
  settings: SamplingSettings,
): Promise<void> {
  const writes = runtime.begin(slot, pagesOf(runtime, slot), { settings, prompt, stopIds: [] });
  await runtime.device.run(null, { writes });
}

/** The token of a row that has one. */
export function tokenOf(row: SampledRow | undefined): SampledToken {
  if (row === undefined || typeof row === "string" || !("id" in row)) throw row;
  return row;
}

/** The rows of `ids` in a slot, the first at position `from`. */
export function rows(ids: Iterable<number>, slot = 0, from = 0): Row[] {
  return Array.from(ids, (id, i) => ({ id, slot, position: from + i }));
}

/** Row `index` of a matrix with `columns` columns. */
export function rowAt(matrix: Float32Array, index: number, columns: number): Float32Array {
  return matrix.subarray(index * columns, (index + 1) * columns);
}

/** `count` ids spread over a vocabulary: a prompt as long as a test likes. */
export function someIds(count: number, vocabSize: number, seed = 1): Int32Array {
  let state = seed >>> 0;
  return Int32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabSize);
  });
}

/** The logits at every position of `ids`, [T, V]. */
export async function logitsOf(dir: string, ids: Int32Array, options: RuntimeOptions): Promise<Float32Array> {
  return withRuntime(dir, options, async (runtime) => {
    const prompt = rows(ids);
    const logits = new Float32Array(ids.length * runtime.config.vocabSize);
    await runtime.logits(prompt, [...prompt.keys()], logits, { writes: runtime.begin(0, pagesOf(runtime, 0)) });
    return logits;
  });
}

/** The greatest relative difference at any position. */
export function difference(a: Float32Array, b: Float32Array, vocabSize: number): number {
  let worst = 0;
  for (let position = 0; position < a.length / vocabSize; position++) {
    const [left, right] = [rowAt(a, position, vocabSize), rowAt(b, position, vocabSize)];
    const scale = right.reduce((greatest, x) => Math.max(greatest, Math.abs(x)), 0);
    for (let id = 0; id < vocabSize; id++) worst = Math.max(worst, Math.abs(left[id]! - right[id]!) / scale);
  }
  return worst;
}

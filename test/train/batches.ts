// Tiny models that learn, and micro-batches of documents.
import type { Device } from "#quipu/device/device.js";
import type { LlamaConfig } from "#quipu/model/config.js";
import {
  createTrainingRuntime,
  type TrainingBatch,
  type TrainingOptions,
  type TrainingRuntime,
} from "#quipu/train/training-runtime.js";
import { randomNumbers } from "../kernels/contents.js";

/** GQA, untied. */
export const TINY: LlamaConfig = {
  ...{ modelType: "llama", vocabSize: 61, hiddenSize: 24, intermediateSize: 40, layers: 2 },
  ...{ heads: 4, kvHeads: 2, headSize: 6, normEps: 1e-5, maxPositions: 128, tiedEmbeddings: false },
  ...{ rope: { theta: 10000 }, bosId: undefined, eosIds: [] },
};

/** Documents one after another: each predicts its next id, the last row none. Their slots are as they come. */
export function packed(documents: readonly (readonly number[])[]): TrainingBatch {
  const rows = documents.flatMap((document, slot) =>
    document.map((id, position) => ({ id, target: document[position + 1] ?? -1, slot, position })),
  );
  const column = (of: (row: (typeof rows)[0]) => number) => Int32Array.from(rows, of);
  return {
    ...{ ids: column(({ id }) => id), targets: column(({ target }) => target), slots: column(({ slot }) => slot) },
    ...{ positions: column(({ position }) => position), weights: new Float32Array(rows.length).fill(1) },
  };
}

/** A document of so many ids. */
export function randomDocument(seed: number, length: number, vocabSize: number): number[] {
  const next = randomNumbers(seed);
  return Array.from({ length }, () => Math.floor(((next() + 1) / 2) * vocabSize));
}

/** All gradients, by the names of their parameters. */
export async function gradientsOf(runtime: TrainingRuntime): Promise<Map<string, Float32Array>> {
  const gradients = new Map<string, Float32Array>();
  for (const name of runtime.shapes.keys()) gradients.set(name, await runtime.read(name, "gradient"));
  return gradients;
}

/** All parameters and moments. */
export async function stateOf(runtime: TrainingRuntime): Promise<Float32Array[]> {
  const state: Float32Array[] = [];
  for (const name of runtime.shapes.keys())
    for (const part of ["parameter", "momentum", "variance"] as const) state.push(await runtime.read(name, part));
  return state;
}

/** A runtime whose parameters are drawn so that none is hidden: norms are not 1, nothing is small. */
export async function tinyRuntime(
  device: Device,
  config: LlamaConfig,
  options: Partial<TrainingOptions> = {},
): Promise<TrainingRuntime> {
  const runtime = await createTrainingRuntime(device, config, {
    batchTokens: 96,
    maxDocuments: 4,
    lossRows: 40,
    ...options,
  });
  await runtime.initialise(5);
  const next = randomNumbers(1);
  for (const [name, shape] of runtime.shapes) {
    const data = await runtime.read(name);
    await runtime.write(
      name,
      data.map((value) => (shape.length === 1 ? 1 + 0.3 * next() : 8 * value)),
    );
  }
  return runtime;
}

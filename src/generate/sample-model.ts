// A model of a checkpoint's shape with some of its layers and invented weights: what it takes a step, the real one takes in
// proportion, and no weight needs to be there.
import { openDevice } from "../device/device.js";
import type { LlamaConfig } from "../model/config.js";
import { parseGenerationConfig } from "../model/generation-config.js";
import { Runtime } from "../model/runtime.js";
import type { FoundTensors } from "../model/tensors.js";
import { inventWeights } from "../model/weights.js";
import type { MemoryOptions } from "./load-memory.js";
import { Model } from "./model.js";
import { Scheduler } from "./scheduler.js";
import { chooseShape, DEFAULT_BATCH_SIZE } from "./shape.js";

/**
 * @param count how many of its layers, spread over all of them.
 * @param signal ends the making.
 * @throws {QuipuError} ERR_OUT_OF_MEMORY, ERR_DEVICE_UNAVAILABLE, ERR_ABORTED.
 */
export async function openSample(
  config: LlamaConfig,
  found: FoundTensors,
  options: MemoryOptions & { readonly contextLength: number },
  count: number,
  signal?: AbortSignal,
): Promise<Model> {
  const { quantize = "none", batchSize = DEFAULT_BATCH_SIZE, threads, fuse } = options;
  const layers = Array.from({ length: count }, (_, i) => Math.floor((i * config.layers) / count));
  const sample: LlamaConfig = { ...config, layers: count };
  const shape = chooseShape(sample, { ...options, slots: 1, cacheTokens: options.contextLength }, 0);
  const device = openDevice({ threads, fuse });
  try {
    const loaded = await inventWeights(device, config, found, { quantize, layers, signal });
    const runtime = await Runtime.create(device, sample, loaded.weights, shape);
    return new Model({
      ...{ device, runtime, loaded, config: sample, kvCache: shape.type },
      generationConfig: parseGenerationConfig({}, sample),
      ...{ tokenizer: undefined, chatTemplate: undefined, stopTokens: [], warnings: [] },
      scheduler: new Scheduler(runtime, { batchSize, slotTimeoutMs: Number.POSITIVE_INFINITY }),
    });
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

// What a load takes of memory, from headers alone: the numbers that ModelStats has once the model has generated.

import { type DeviceOptions, hasOwnMemory, kindOf } from "../device/device.js";
import type { Fusion } from "../device/fusions.js";
import { PlannedDevice } from "../device/planned-device.js";
import { QuipuError } from "../errors.js";
import type { LlamaConfig } from "../model/config.js";
import type { Quantization } from "../model/quantization.js";
import type { RuntimeShape } from "../model/runtime.js";
import { planSteps, type StepMemory } from "../model/step-memory.js";
import type { FoundTensors } from "../model/tensors.js";
import { type LoadedWeights, planWeights } from "../model/weights.js";
import { chooseShape, fillShape, type ShapeOptions } from "./shape.js";

/** Of LoadOptions, what memory depends on. */
export interface MemoryOptions extends ShapeOptions {
  readonly device?: DeviceOptions["device"];
  readonly quantize?: Quantization | undefined;
  readonly threads?: number | undefined;
  readonly fuse?: boolean | readonly Fusion[] | undefined;
}

export interface LoadMemory extends StepMemory {
  readonly shape: RuntimeShape;
  readonly weights: Omit<LoadedWeights, "weights">;
  /** Of weights, cache, state and arena together. */
  readonly totalBytes: number;
}

/** @param free bytes that bound what is not asked for, as a load takes them; of a GPU's memory those before the weights are there. */
export function planLoad(config: LlamaConfig, found: FoundTensors, options: MemoryOptions, free: number): LoadMemory {
  const measure = (shape: RuntimeShape): LoadMemory => {
    const device = new PlannedDevice(options);
    const { weights, ...counts } = planWeights(device, config, found, options.quantize ?? "none");
    const steps = planSteps(device, config, weights, shape);
    const totalBytes = counts.bytes + steps.cacheBytes + steps.stateBytes + steps.arenaBytes;
    return { shape, weights: counts, ...steps, totalBytes };
  };
  const { device = "auto" } = options;
  const shape = hasOwnMemory(kindOf(device))
    ? fillShape(config, options, free, measure)
    : chooseShape(config, options, free);
  return measure(shape);
}

/** @throws {QuipuError} ERR_OUT_OF_MEMORY for a load that takes more of a device's own memory than is free of it. */
export function checkRoom({ shape, weights, ...memory }: LoadMemory, free: number): void {
  if (memory.totalBytes <= free) return;
  const [there, ofWeights, ofCache, ofSteps] = [
    ...[free, weights.bytes, memory.cacheBytes, memory.stateBytes + memory.arenaBytes],
  ].map((bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`);
  throw new QuipuError(
    "ERR_OUT_OF_MEMORY",
    `the GPU has ${there} free; weights need ${ofWeights}, a ${shape.type} cache of ${shape.cacheTokens} positions ${ofCache}, steps ${ofSteps}.`,
  );
}

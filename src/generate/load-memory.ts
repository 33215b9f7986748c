// What a load takes of memory, from headers alone: the numbers that ModelStats has once the model has generated.

import type { Fusion } from "../device/fusions.js";
import { PlannedDevice } from "../device/planned-device.js";
import type { LlamaConfig } from "../model/config.js";
import type { Quantization } from "../model/quantization.js";
import type { RuntimeShape } from "../model/runtime.js";
import { planSteps, type StepMemory } from "../model/step-memory.js";
import type { FoundTensors } from "../model/tensors.js";
import { type LoadedWeights, planWeights } from "../model/weights.js";
import { chooseShape, type ShapeOptions } from "./shape.js";

/** Of LoadOptions, what memory depends on. */
export interface MemoryOptions extends ShapeOptions {
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

/** @param free bytes that bound what is not asked for, as a load takes them. */
export function planLoad(config: LlamaConfig, found: FoundTensors, options: MemoryOptions, free: number): LoadMemory {
  const device = new PlannedDevice(options);
  const shape = chooseShape(config, options, free);
  const { weights, ...counts } = planWeights(device, config, found, options.quantize ?? "none");
  const steps = planSteps(device, config, weights, shape);
  const totalBytes = counts.bytes + steps.cacheBytes + steps.stateBytes + steps.arenaBytes;
  return { shape, weights: counts, ...steps, totalBytes };
}

// What a model's steps take of memory, beside its weights.
import type { PlannedDevice } from "../device/planned-device.js";
import type { LlamaConfig } from "./config.js";
import { KvCache } from "./kv-cache.js";
import type { LlamaWeights } from "./llama.js";
import type { RuntimeShape } from "./runtime.js";
import { SlotState } from "./slot-state.js";
import { StepPrograms } from "./step-programs.js";

export interface StepMemory {
  /** Of the cache when all of it is in use, its page table included. */
  readonly cacheBytes: number;
  /** Of what lies beside it: settings and histories of the slots, inputs and results of steps. */
  readonly stateBytes: number;
  /** Of the arena and the kernels' workspace. */
  readonly arenaBytes: number;
}

/** That of a runtime which generates: its prompts fill the cache, its steps sample. `weights` are of `device`. */
export function planSteps(
  device: PlannedDevice,
  config: LlamaConfig,
  weights: LlamaWeights,
  shape: RuntimeShape,
): StepMemory {
  const cache = new KvCache(device, config, shape);
  const state = new SlotState(device, cache.slots, shape.contextLength, config.vocabSize);
  const programs = new StepPrograms(device, config, weights, cache, state, shape.stepRows);
  programs.get({ kind: "fill", wanted: 0, best: 0, taps: false });
  programs.get({ kind: "sample", wanted: 1, best: 0, taps: false });
  const memory = device.memory();
  return { cacheBytes: cache.bytes, stateBytes: memory.state - cache.bytes, arenaBytes: memory.arena };
}

// Whether a training fits the memory, found out before any of it is taken.
import { type Fitting, QuipuError } from "../errors.js";
import { availableAddressSpace, availableMemory } from "../machine/process-limits.js";
import type { LlamaConfig } from "../model/config.js";
import { planTraining, type TrainingMemory, type TrainingOptions } from "./training-runtime.js";

/** Of what could be had: what is free now may be less in a moment, and Node's own memory grows. */
const MARGIN = 0.9;

/** @throws {QuipuError} ERR_OUT_OF_MEMORY with what was needed, what there is, and what would fit. */
export function checkMemory(
  config: LlamaConfig,
  options: TrainingOptions,
  threads: number,
  batch: number,
): TrainingMemory {
  const free = MARGIN * Math.min(availableMemory(), availableAddressSpace());
  const planned = (changed: Partial<TrainingOptions>) => planTraining(config, { ...options, ...changed }, { threads });
  const bytesOf = ({ state, arena }: TrainingMemory) => state + arena;
  const memory = planned({});
  if (bytesOf(memory) <= free) return memory;
  const fitting: Record<string, number | boolean> = {};
  const least = options.contextLength ?? 1;
  for (let rows = options.batchTokens / 2; Number.isInteger(rows) && rows >= least && batch % rows === 0; rows /= 2) {
    const documents = Math.max(1, Math.ceil((options.maxDocuments * rows) / options.batchTokens));
    if (bytesOf(planned({ batchTokens: rows, maxDocuments: documents })) > free) continue;
    fitting.microBatch = rows;
    break;
  }
  if (options.recompute !== true && bytesOf(planned({ recompute: true })) <= free) fitting.recompute = true;
  const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const needed = `${gib(bytesOf(memory))} (${gib(memory.state)} for ${memory.parameters} parameters with their gradients and moments, ${gib(memory.arena)} for a micro-batch)`;
  throw new QuipuError("ERR_OUT_OF_MEMORY", `training takes ${needed}, and there are ${gib(free / MARGIN)}.`, {
    fitting: fitting as Fitting,
  });
}

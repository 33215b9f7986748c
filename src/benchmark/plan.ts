// planModel: what to expect of a checkpoint on this machine, memory and speed, from its headers.
import { abortSignal, callback, flag, type Kinds, readOptions } from "../arguments.js";
import { abortedError, isQuipuError } from "../errors.js";
import { LOAD_OPTIONS, type LoadOptions } from "../generate/load.js";
import { type CheckpointPlan, type CheckpointSource, type LoadPlan, planCheckpoint } from "../generate/plan.js";
import { describeMachine } from "../machine/machine.js";
import { threadsFor } from "../machine/process-limits.js";
import { measureRoofs, type Roofs } from "../machine/roofs.js";
import { type ExpectedSpeed, expectSpeed } from "./speed.js";

export interface PlanOptions
  extends Pick<
    LoadOptions,
    | ("batchSize" | "cacheTokens" | "contextLength" | "device" | "fuse" | "kvCache" | "quantize" | "slots" | "threads")
    | "signal"
  > {
  /** Whether to measure this machine for what speed to expect, seconds a format; default true. Of a GPU nothing is measured. */
  readonly speed?: boolean | undefined;
  /** Told how many of the formats are measured, and of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Why no speed is expected of a GPU. */
const OF_GPUS = "nothing is measured of a GPU by a plan; a benchmark of the loaded model tells its speed.";
/** A measurement that the system gives no memory, or no thread. */
const REFUSED = ["ERR_OUT_OF_MEMORY", "ERR_DEVICE_UNAVAILABLE"];

const { batchSize, cacheTokens, contextLength, device, fuse, kvCache, quantize, slots, threads } = LOAD_OPTIONS;

export const PLAN_OPTIONS: Kinds<PlanOptions> = {
  ...{ batchSize, cacheTokens, contextLength, device, fuse, kvCache, quantize, slots, threads },
  ...{ speed: flag, onProgress: callback, signal: abortSignal },
};

/** A plan of one load; `speed` for the cache that was asked for, else f16, where it fits and was to be measured. */
export interface LoadPlanWithSpeed extends LoadPlan {
  readonly speed?: ExpectedSpeed;
}

export interface ModelPlan extends Omit<CheckpointPlan, "loads"> {
  readonly cpu: string;
  readonly target: string;
  readonly threads: number;
  /** Measured, where a speed is expected. */
  readonly roofs?: Roofs;
  /** Why a speed that was to be measured is not expected, in a sentence. */
  readonly speedProblem?: string;
  readonly loads: readonly LoadPlanWithSpeed[];
}

/**
 * Plans the loads of a checkpoint on this machine, or on one of its GPUs: those with the format and the cache that the options name, of those that they do not
 * name all. Weights are not read, but for a stored head beside a config that ties it, and that of a folder alone.
 *
 * @param from a folder (a path or a file URL), a name, nothing for the embedded storyteller, or a source of headers. Of "org/name" that
 *   the hub's cache does not have, the hub is asked for headers alone.
 * @throws {QuipuError} ERR_MODEL_NOT_FOUND, ERR_PULL, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED, ERR_USAGE, ERR_ABORTED,
 *   ERR_DEVICE_UNAVAILABLE (no such GPU, or no module for it); what a source throws.
 *   That a load does not fit is no error.
 */
export async function planModel(from?: string | URL | CheckpointSource, given?: PlanOptions): Promise<ModelPlan> {
  const { speed = true, onProgress, signal, ...options } = readOptions<PlanOptions>("planModel", given, PLAN_OPTIONS);
  if (signal?.aborted) throw abortedError(signal);
  const { plan, found } = await planCheckpoint(from, options, signal);
  const { cpu, target } = describeMachine();
  const machine = { cpu, target, threads: threadsFor(options.threads) };
  const measured = plan.loads.filter(({ kvCache, fits }) => fits && kvCache === (options.kvCache ?? "f16"));
  if (!speed || measured.length === 0) return { ...plan, ...machine };
  if (plan.gpu !== undefined) return { ...plan, ...machine, speedProblem: OF_GPUS };
  onProgress?.(0, measured.length);
  let roofs: Roofs | undefined;
  let speedProblem: string | undefined;
  const speeds = new Map<LoadPlan, ExpectedSpeed>();
  try {
    roofs = await measureRoofs(target, machine.threads, signal);
    for (const [done, load] of measured.entries()) {
      const expected = await expectSpeed(plan.config, found, load, roofs, { ...options, signal });
      if (expected === undefined) speedProblem ??= `there is no memory for a layer of it in ${load.quantize}`;
      else speeds.set(load, expected);
      onProgress?.(done + 1, measured.length);
    }
  } catch (error) {
    // What memory it takes is known all the same.
    if (!isQuipuError(error) || !REFUSED.includes(error.code)) throw error;
    speedProblem = error.message;
  }
  const withSpeed = (load: LoadPlan): LoadPlanWithSpeed => {
    const expected = speeds.get(load);
    return expected === undefined ? load : { ...load, speed: expected };
  };
  return {
    ...{ ...plan, ...machine, loads: plan.loads.map(withSpeed) },
    ...(roofs !== undefined && { roofs }),
    ...(speedProblem !== undefined && { speedProblem }),
  };
}

// Learning rates and batch sizes over a run, as functions of how far it is.

/**
 * After a warm-up, linear from 0: "cosine" falls to a tenth of the peak; "linear" stays at the peak, then falls to 0 on a straight
 * line over the cool-down.
 */
export type ScheduleKind = "cosine" | "linear";

export interface Schedule {
  readonly kind: ScheduleKind;
  /** The peak. */
  readonly rate: number;
  /** Share of the run in which the rate rises. */
  readonly warmUp: number;
  /** Of "linear": share of the run in which it falls. */
  readonly coolDown: number;
}

/** How long a run is. */
export type Length = { readonly steps: number } | { readonly tokens: number } | { readonly seconds: number };

const LEAST_OF_COSINE = 0.1;

/** The rate of a step. @param progress the share of the run that is done when the step is: above 0, at most 1. */
export function rateAt({ kind, rate, warmUp, coolDown }: Schedule, progress: number): number {
  if (progress < warmUp) return (rate * progress) / warmUp;
  if (kind === "linear") return rate * Math.min(1, (1 - progress) / coolDown);
  const share = warmUp === 1 ? 0 : (progress - warmUp) / (1 - warmUp);
  return rate * (LEAST_OF_COSINE + ((1 - LEAST_OF_COSINE) * (1 + Math.cos(Math.PI * share))) / 2);
}

/**
 * Micro-batches of a step: from one at the beginning of the ramp to `most` at its end, on a straight line.
 *
 * @param ramp share of the run that the ramp takes; 0: there is none.
 * @param progress the share that is done before the step.
 */
export function microBatchesAt(most: number, ramp: number, progress: number): number {
  if (progress >= ramp) return most;
  return Math.min(most, 1 + Math.floor((progress / ramp) * most));
}

/** The share of a run that is done, at most 1. There is a step, however short the time. */
export function progressOf(
  length: Length,
  done: { readonly step: number; readonly tokens: number; readonly seconds: number },
): number {
  if (done.step === 0) return 0;
  if ("steps" in length) return Math.min(1, done.step / length.steps);
  return Math.min(1, "tokens" in length ? done.tokens / length.tokens : done.seconds / length.seconds);
}

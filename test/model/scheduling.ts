// Schedulers over a tiny checkpoint in tests: what is in their steps, and readers of all kinds.
import { Scheduler, type SchedulerOptions } from "#quipu/generate/scheduler.js";
import type { SamplingRequest, Sequence, SequenceRequest } from "#quipu/generate/sequence.js";
import type { Row, Runtime, SampledToken } from "#quipu/model/runtime.js";
import { loadTiny } from "./reference.js";
import { type RuntimeOptions, withRuntime } from "./run-model.js";

export const { folder, vocabSize } = loadTiny("gqa-f32");

/** A step as it was queued. */
export interface QueuedStep {
  readonly kind: "fill" | "logits" | "sample";
  readonly rows: readonly Row[];
  readonly wanted: readonly number[];
  /** How many steps were in flight when it landed, itself one of them; 0 before. */
  inFlight: number;
}

/** Watches a runtime: the steps that are queued on it from now on. */
export function watch(runtime: Runtime): readonly QueuedStep[] {
  const steps: QueuedStep[] = [];
  let inFlight = 0;
  const queued = async <T>(
    kind: QueuedStep["kind"],
    rows: readonly Row[],
    wanted: readonly number[],
    run: Promise<T>,
  ) => {
    const step: QueuedStep = { kind, rows, wanted, inFlight: 0 };
    steps.push(step);
    inFlight += 1;
    try {
      return await run;
    } finally {
      step.inFlight = inFlight;
      inFlight -= 1;
    }
  };
  const { fill, logits, sample } = runtime;
  runtime.fill = (rows, ...rest) => queued("fill", rows, [], fill.call(runtime, rows, ...rest));
  runtime.logits = (rows, wanted, ...rest) =>
    queued("logits", rows, wanted, logits.call(runtime, rows, wanted, ...rest));
  runtime.sample = (rows, wanted, ...rest) =>
    queued("sample", rows, wanted, sample.call(runtime, rows, wanted, ...rest));
  return steps;
}

/** Runs `body` with a scheduler over the tiny checkpoint, closed afterwards. */
export function withScheduler<T>(
  options: RuntimeOptions & Partial<SchedulerOptions>,
  body: (scheduler: Scheduler, steps: readonly QueuedStep[], runtime: Runtime) => Promise<T>,
): Promise<T> {
  return withRuntime(folder, { threads: 1, slots: 8, contextLength: 256, ...options }, async (runtime) => {
    const { batchSize = 512, slotTimeoutMs = Number.POSITIVE_INFINITY } = options;
    const scheduler = new Scheduler(runtime, { batchSize, slotTimeoutMs });
    try {
      return await body(scheduler, watch(runtime), runtime);
    } finally {
      scheduler.close();
    }
  });
}

export const PLAIN: SamplingRequest = {
  settings: {
    ...{ temperature: 1, topK: 0, topP: 1, minP: 0, repeatPenalty: 1, presencePenalty: 0, frequencyPenalty: 0 },
    ...{ seed: 1, logitBias: new Map<number, number>() },
  },
  ...{ maxTokens: 10, stopIds: [], best: 0, promptCache: true },
};

/** A request to sample after `ids`. */
export function request(
  ids: Int32Array,
  sampling: Partial<SamplingRequest> = {},
  rest: Partial<SequenceRequest> = {},
): SequenceRequest {
  return { ids, wanted: { ...PLAIN, ...sampling }, describe: () => "somebody", ...rest };
}

/** All tokens to the end. */
export async function readAll(sequence: Sequence): Promise<SampledToken[]> {
  const tokens: SampledToken[] = [];
  for (let token = await sequence.next(); token !== undefined; token = await sequence.next()) tokens.push(token);
  return tokens;
}

/** Turns of the event loop. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

// Schedulers over a tiny checkpoint in tests: what is in their steps, and readers of all kinds.
import { QuipuError } from "#quipu/errors.js";
import { Scheduler, type SchedulerOptions } from "#quipu/generate/scheduler.js";
import type { SamplingRequest, Sequence, SequenceRequest } from "#quipu/generate/sequence.js";
import type { Row, Runtime, SampledToken, StepOptions } from "#quipu/model/runtime.js";
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

/** Has steps refused that want more memory than there is: at once, as a program is, or when their turn comes, as workspace is. */
export function refuseSteps(
  runtime: Runtime,
  isTooLarge: (rows: readonly Row[]) => boolean,
  when: "at once" | "in turn",
) {
  const refused = async ({ writes = [] }: StepOptions = {}): Promise<never> => {
    if (writes.length > 0) runtime.device.run(null, { writes }).catch(() => {}); // where the device is disposed of meanwhile
    if (when === "in turn") await runtime.device.run(null).catch(() => {});
    throw new QuipuError("ERR_OUT_OF_MEMORY", "no memory for such a step");
  };
  const { fill, sample } = runtime;
  runtime.fill = (rows, options) => (isTooLarge(rows) ? refused(options) : fill.call(runtime, rows, options));
  runtime.sample = (rows, wanted, bests, options) =>
    isTooLarge(rows) ? refused(options) : sample.call(runtime, rows, wanted, bests, options);
}

/** Holds what comes of steps that sample from now on, until `open` is called: they are in flight as long. `signals` are theirs. */
export function holdSteps(runtime: Runtime): { readonly signals: readonly AbortSignal[]; open(): void } {
  const { sample } = runtime;
  const signals: AbortSignal[] = [];
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  runtime.sample = async (...step) => {
    signals.push(step[3]!.signal!);
    const result = await sample.apply(runtime, step);
    await gate;
    return result;
  };
  return { signals, open };
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

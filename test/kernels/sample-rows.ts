// Runs sample over rows that each have a request of their own.
import { SAMPLE_FLOATS, SAMPLE_INTS } from "#quipu/graph/ops.js";
import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { type Contents, f32, i32 } from "./contents.js";
import { expectSameBits, isCuda, OTHER_DEVICES, runEverywhere, runOp, type Setup } from "./run-op.js";
import { PLAIN, type Settings } from "./sample-reference.js";

/** A wanted row: its logits, and its request; slot −1 where that is null. */
export interface SampleRow {
  readonly logits: Float32Array;
  readonly settings: Settings | null;
  /** Ids by position; what comes after the row's own position is there too. */
  readonly history: readonly number[];
  readonly position: number;
}

type Name = "logits" | "outputRows" | "slots" | "positions" | "history" | "floats" | "ints" | "biasIds" | "biases";

export type SampleInputs = Record<Name, Contents>;

export interface SampledRow {
  readonly id: number;
  readonly logprob: number;
  readonly bestIds: number[];
  readonly bestLogprobs: number[];
}

export const recordSample =
  (best: number) =>
  (r: Recorder, { logits, ...inputs }: Readonly<Record<Name, Value>>) => {
    const { ids, logprobs, bestIds, bestLogprobs } = r.sample(logits, inputs, best);
    return [ids, logprobs, bestIds, bestLogprobs];
  };

/** Row r of the wanted rows is step row R − r (the first belongs to nobody), in slot r. */
export function sampleInputs(rows: readonly SampleRow[]): SampleInputs {
  const count = rows.length;
  const vocabulary = rows[0]!.logits.length;
  const context = Math.max(1, ...rows.map(({ history, position }) => Math.max(history.length, position + 1)));
  const biases = Math.max(0, ...rows.map(({ settings }) => settings?.biases.length ?? 0));
  const matrix = (width: number, row: (row: SampleRow, i: number) => number) =>
    rows.flatMap((each) => Array.from({ length: width }, (_, i) => row(each, i)));
  const logits = new Float32Array(count * vocabulary);
  rows.forEach((row, r) => {
    logits.set(row.logits, r * vocabulary);
  });
  const settingsOf = ({ settings }: SampleRow) => settings ?? PLAIN;
  return {
    logits: { dtype: "f32", shape: [count, vocabulary], data: logits },
    outputRows: i32(
      [count],
      rows.map((_, r) => count - r),
      count + 1,
    ),
    slots: i32([count + 1], [-1, ...rows.map(({ settings }, r) => (settings === null ? -1 : r)).reverse()], count),
    positions: i32([count + 1], [0, ...rows.map(({ position }) => position).reverse()], context),
    history: i32(
      [count, context],
      matrix(context, ({ history }, p) => history[p] ?? -1),
      vocabulary,
    ),
    floats: f32(
      [count, SAMPLE_FLOATS.length],
      matrix(SAMPLE_FLOATS.length, (row, i) => settingsOf(row)[SAMPLE_FLOATS[i]!]),
    ),
    ints: i32(
      [count, SAMPLE_INTS.length],
      matrix(SAMPLE_INTS.length, (row, i) => settingsOf(row)[SAMPLE_INTS[i]!]),
    ),
    biasIds: i32(
      [count, biases],
      matrix(biases, (row, i) => settingsOf(row).biases[i]?.[0] ?? -1),
      vocabulary,
    ),
    biases: f32(
      [count, biases],
      matrix(biases, (row, i) => settingsOf(row).biases[i]?.[1] ?? 7),
    ),
  };
}

/** Samples everywhere (or on one setup), the same bits everywhere: a GPU has the CPU's, too. */
export async function sampled(rows: readonly SampleRow[], best = 1, setup?: Setup): Promise<SampledRow[]> {
  const inputs = sampleInputs(rows);
  const { outputs } = await (setup === undefined
    ? runEverywhere(inputs, recordSample(best))
    : runOp(setup, inputs, recordSample(best)));
  for (const device of setup === undefined ? OTHER_DEVICES.filter(isCuda) : []) {
    const own = await runOp({ device }, inputs, recordSample(best));
    own.outputs.forEach((output, i) => {
      expectSameBits(output, outputs[i]!, `output ${i} (${device})`);
    });
  }
  const [ids, logprobs, bestIds, bestLogprobs] = outputs as [Int32Array, Float32Array, Int32Array, Float32Array];
  return rows.map((_, r) => ({
    id: ids[r]!,
    logprob: logprobs[r]!,
    bestIds: [...bestIds.subarray(r * best, (r + 1) * best)],
    bestLogprobs: [...bestLogprobs.subarray(r * best, (r + 1) * best)],
  }));
}

/** A row without history. */
export function row(logits: Iterable<number>, settings: Partial<Settings> | null = {}, position = 0): SampleRow {
  return {
    logits: Float32Array.from(logits),
    settings: settings === null ? null : { ...PLAIN, ...settings },
    history: [],
    position,
  };
}

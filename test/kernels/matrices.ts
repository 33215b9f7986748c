// Weight matrices of tests, of stored formats as they are, of packed ones made by the recording itself.
import type { Packed } from "#quipu/device/formats.js";
import type { Recorder } from "#quipu/graph/recorder.js";
import type { Value } from "#quipu/graph/recording.js";
import { type Contents, packed, randomF32, stored, WEIGHT_DTYPES } from "./contents.js";

export type Format = (typeof WEIGHT_DTYPES)[number] | Packed;
export const FORMATS: readonly Format[] = [...WEIGHT_DTYPES, "q8", "q6", "q4"];

/** Inputs of a matrix [rows, depth] called `name`; {@link matrixIn} gives it. */
export function matrix(name: string, format: Format, rows: number, depth: number, next: () => number) {
  const random = randomF32(next, [rows, depth]);
  const dtype = WEIGHT_DTYPES.find((each) => each === format);
  const inputs: Record<string, Contents> =
    dtype === undefined
      ? { [name]: random, [`${name}Room`]: packed([rows, depth], format as Packed) }
      : { [name]: stored(dtype, random).contents };
  return inputs;
}

export function matrixIn(r: Recorder, values: Readonly<Record<string, Value>>, name: string): Value {
  const room = values[`${name}Room`];
  return room === undefined ? values[name]! : r.quantize(values[name]!, room);
}

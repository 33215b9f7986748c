// What a sequence is between its steps, one row a slot in state tensors that every program of the model reads: its settings, its
// history, and the id and position that its last step has left for the next one. So a program serves any mixture of requests,
// and any step may follow any other before the host knows what that one sampled.
import type { ProgramDevice, Transfer } from "../device/device.js";
import { rowOf, type Tensor } from "../device/tensor.js";
import { SAMPLE_FLOATS, SAMPLE_INTS } from "../graph/ops.js";

/** How the next token is picked (docs/numerics.md, sample). */
export interface SamplingSettings {
  /** 0: always the most likely. */
  readonly temperature: number;
  /** 0: all. */
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  /** Over prompt and completion; 1: none. */
  readonly repeatPenalty: number;
  /** Over the completion; 0: none. */
  readonly presencePenalty: number;
  /** Over the completion, by count; 0: none. */
  readonly frequencyPenalty: number;
  readonly seed: number;
  /** Added to the logits of these ids. */
  readonly logitBias: ReadonlyMap<number, number>;
}

/** Ids that end a slot's decoding on the device. Beyond these a step that is queued behind a stop is computed for nothing. */
const STOPS = 16;

export class SlotState {
  readonly lastIds: Tensor; // [S] what the last step sampled
  readonly nextPositions: Tensor; // [S] where it goes, −1: nothing was sampled yet, or the slot has ended
  readonly history: Tensor; // [S, C] ids by position, −1 none
  readonly floats: Tensor; // [S, 6]
  readonly ints: Tensor; // [S, 4]
  readonly biasIds: Tensor; // [S, V], −1 ends them; room for every id, as memory that is never written costs nothing
  readonly biases: Tensor; // [S, V]
  readonly stops: Tensor; // [S, STOPS], −1 unused
  readonly #device: ProgramDevice;

  constructor(device: ProgramDevice, slots: number, contextLength: number, vocabSize: number) {
    this.#device = device;
    this.lastIds = device.allocate("lastIds", "i32", [slots]);
    this.nextPositions = device.allocate("nextPositions", "i32", [slots], contextLength);
    this.history = device.allocate("history", "i32", [slots, contextLength], vocabSize);
    this.floats = device.allocate("sampling.floats", "f32", [slots, SAMPLE_FLOATS.length]);
    this.ints = device.allocate("sampling.ints", "i32", [slots, SAMPLE_INTS.length]);
    this.biasIds = device.allocate("sampling.biasIds", "i32", [slots, vocabSize], vocabSize);
    this.biases = device.allocate("sampling.biases", "f32", [slots, vocabSize]);
    this.stops = device.allocate("stops", "i32", [slots, STOPS]);
  }

  /** What must be written so that a sequence begins in `slot`: it samples with `settings` after `prompt` and stops at `stopIds`. */
  begin(slot: number, settings: SamplingSettings, prompt: Int32Array, stopIds: readonly number[]): Transfer[] {
    const biases = [...settings.logitBias, [-1, 0] as const].slice(0, this.biasIds.shape[1]);
    const ints: Record<(typeof SAMPLE_INTS)[number], number> = {
      topK: settings.topK,
      promptLength: prompt.length,
      seedLow: (settings.seed % 2 ** 32) | 0,
      seedHigh: Math.floor(settings.seed / 2 ** 32) | 0,
    };
    return [
      [rowOf(this.nextPositions, slot), Int32Array.of(-1)],
      [rowOf(this.history, slot), prompt],
      [rowOf(this.floats, slot), Float32Array.from(SAMPLE_FLOATS, (name) => settings[name])],
      [rowOf(this.ints, slot), Int32Array.from(SAMPLE_INTS, (name) => ints[name])],
      [rowOf(this.biasIds, slot), Int32Array.from(biases, ([id]) => id)],
      [rowOf(this.biases, slot), Float32Array.from(biases, ([, bias]) => bias)],
      [rowOf(this.stops, slot), Int32Array.from({ length: STOPS }, (_, i) => stopIds[i] ?? -1)],
    ];
  }

  dispose(): void {
    const { lastIds, nextPositions, history, floats, ints, biasIds, biases, stops } = this;
    for (const tensor of [lastIds, nextPositions, history, floats, ints, biasIds, biases, stops])
      this.#device.free(tensor);
  }
}

// A program that only samples: the op, the state and the settings of a step, without the layers before it. For measuring.
import type { Device } from "../device/device.js";
import { compile } from "../graph/program.js";
import { Recorder } from "../graph/recorder.js";
import { type SamplingSettings, SlotState } from "./slot-state.js";

/**
 * Samples the token after `prompt` as often as what it returns is called. The program lives as long as `device`.
 *
 * @param logits [V], of the row after `prompt`.
 */
export async function sampleOnly(
  device: Device,
  logits: Float32Array,
  settings: SamplingSettings,
  prompt: Int32Array,
): Promise<() => Promise<void>> {
  const vocabSize = logits.length;
  const contextLength = prompt.length + 1;
  const state = new SlotState(device, 1, contextLength, vocabSize);
  const index = (name: string, bound: number) => device.allocate(name, "i32", [1], bound);
  const positions = index("positions", contextLength);
  const row = device.allocate("logits", "f32", [1, vocabSize]);
  const recorder = new Recorder();
  const inputs = { ...state, outputRows: index("outputRows", 1), slots: index("slots", 1), positions };
  for (const value of Object.values(recorder.sample(recorder.input(row), inputs, 1))) recorder.output(value);
  const program = compile(device, recorder.finish());
  await device.run(null, {
    writes: [[row, logits], [positions, Int32Array.of(prompt.length - 1)], ...state.begin(0, settings, prompt, [])],
  });
  return async () => void (await program.run());
}

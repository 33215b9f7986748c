// Rotary position embedding (arXiv:2104.09864): frequencies as they are, or scaled for contexts longer than those of the
// training: linear, llama3, YaRN.
import { logarithm, power } from "./elementary.js";
import type { Llama3Scaling, RopeConfig, YarnScaling } from "./rope-config.js";

const f32 = Math.fround;

/**
 * Inverse frequencies θ^(−2j/d) for j < d/2, [d / 2], scaled, rounded to f32 at the steps at which transformers rounds
 * (modeling_rope_utils.py), so that angles agree with it.
 */
export function inverseFrequencies({ theta, scaling }: RopeConfig, headSize: number): Float32Array {
  const scale = scaleOf(theta, scaling, headSize);
  return Float32Array.from({ length: headSize / 2 }, (_, j) => scale(f32(power(theta, f32((2 * j) / headSize))), j));
}

/** What cosines and sines are multiplied by. */
export function attentionFactor({ scaling }: RopeConfig): number {
  return scaling?.type === "yarn" ? scaling.attentionFactor : 1;
}

/** From θ^(2j/d) and j to the frequency. */
function scaleOf(
  theta: number,
  scaling: RopeConfig["scaling"],
  headSize: number,
): (power: number, j: number) => number {
  switch (scaling?.type) {
    case undefined:
      return (power) => f32(1 / power);
    case "linear":
      return (power) => f32(f32(1 / power) / f32(scaling.factor));
    case "llama3":
      return (power) => llama3(f32(1 / power), scaling);
    case "yarn":
      return yarn(theta, scaling, headSize);
  }
}

function llama3(frequency: number, scaling: Llama3Scaling): number {
  const { lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const factor = f32(scaling.factor);
  const wavelength = f32(f32(2 * Math.PI) / frequency);
  if (wavelength > f32(originalMaxPositions / lowFreqFactor)) return f32(frequency / factor);
  if (wavelength < f32(originalMaxPositions / highFreqFactor)) return frequency;
  const turns = f32(f32(originalMaxPositions / wavelength) - f32(lowFreqFactor));
  const smooth = f32(turns / f32(highFreqFactor - lowFreqFactor));
  return f32(f32(f32(f32(1 - smooth) * frequency) / factor) + f32(smooth * frequency));
}

/** Frequencies that turn more than betaFast times in the original context are kept, those below betaSlow divided by the factor. */
function yarn(theta: number, scaling: YarnScaling, headSize: number): (power: number, j: number) => number {
  const { betaFast, betaSlow, truncate, originalMaxPositions } = scaling;
  const dimOf = (turns: number) =>
    (headSize * logarithm(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * logarithm(theta));
  const [first, last] = [dimOf(betaFast), dimOf(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  let high = Math.min(truncate ? Math.ceil(last) : last, headSize - 1);
  if (low === high) high += 0.001; // as transformers keeps the ramp from dividing by 0
  const factor = f32(scaling.factor);
  return (power, j) => {
    const ramp = Math.min(1, Math.max(0, f32(f32(j - f32(low)) / f32(high - low))));
    const kept = f32(1 - ramp);
    const divided = f32(1 / f32(factor * power));
    return f32(f32(divided * f32(1 - kept)) + f32(f32(1 / power) * kept));
  };
}

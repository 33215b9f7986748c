// Rotary position embedding (arXiv:2104.09864), with Llama 3.1's scaling of the low frequencies.
import type { RopeConfig } from "./config.js";

/**
 * Inverse frequencies θ^(−2j/d) for j < d/2, [d / 2], rounded to f32 at the steps at which transformers rounds
 * (modeling_rope_utils.py, _compute_llama3_parameters), so that angles agree with it.
 */
export function inverseFrequencies({ theta, scaling }: RopeConfig, headSize: number): Float32Array {
  const f32 = Math.fround;
  return Float32Array.from({ length: headSize / 2 }, (_, j) => {
    const frequency = f32(1 / f32(theta ** f32((2 * j) / headSize)));
    if (scaling === undefined) return frequency;
    const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
    const wavelength = f32(f32(2 * Math.PI) / frequency);
    if (wavelength > originalMaxPositions / lowFreqFactor) return f32(frequency / factor);
    if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
    const smooth = f32(f32(f32(originalMaxPositions / wavelength) - lowFreqFactor) / (highFreqFactor - lowFreqFactor));
    return f32(f32(f32(1 - smooth) * f32(frequency / factor)) + f32(smooth * frequency));
  });
}

// Whole blocks of 32 of q8 and q6 are packed rotated (docs/numerics.md): by the Hadamard matrix H of 32, of ones with
// signs, whose square is 32. Weights become H w / 4, and activations that meet them H x / 8: their product is that of w
// and x. What stands out in a block, as a few features of activations do by far, is spread over all of it: over
// SmolLM2's activations codes of 8 bits have less than a fifth of the squared error. Codes of 4 bits are better off
// without (their scale and minimum fit what stands out), so q4 is as it is.

static constexpr size_t kRotated = 32;
static constexpr float kRotateWeights = 0.25f, kRotateActivations = 0.125f;

// H times the 32 lanes of both, times a power of two.
QUIPU_INLINE void rotateBlock(f32x16& low, f32x16& high, float by) {
  const f32x16 a = hadamard(low), b = hadamard(high), factor = broadcast(by);
  low = mul(add(a, b), factor);
  high = mul(sub(a, b), factor);
}

// 32 rotated weights, as they were before.
QUIPU_INLINE void rotateBack(float* values) {
  f32x16 low = load(values), high = load(values + 16);
  rotateBlock(low, high, kRotateActivations);
  store(values, low);
  store(values + 16, high);
}

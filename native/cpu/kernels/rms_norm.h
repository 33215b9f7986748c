// rmsNorm: out[t] = x[t] · (1 / √(mean x[t]² + ε)) · weight. Moves 8 T D bytes and the weight; 4 T D flops: bound by
// memory (or L2, which the rows of a decode step never leave). A task is a row.

template <typename E>
QUIPU_INLINE void rmsNormRow(const float* x, const E* weight, float* out, size_t width, float epsilon) {
  const size_t whole = width / 16 * 16, rest = width - whole;
  f32x16 squares = zero();
  for (size_t k = 0; k < whole; k += 16) {
    const f32x16 v = load(x + k);
    squares = fma(v, v, squares);
  }
  if (rest > 0) {
    const f32x16 v = loadPart(x + whole, rest);
    squares = fma(v, v, squares);
  }
  const f32x16 scale = broadcast(1.0f / __builtin_sqrtf(sum(squares) / float(width) + epsilon));
  for (size_t k = 0; k < whole; k += 16) store(out + k, mul(mul(load(x + k), scale), loadWide(weight + k)));
  if (rest > 0) {
    storePart(out + whole, mul(mul(loadPart(x + whole, rest), scale), loadWidePart(weight + whole, rest)), rest);
  }
}

// The norm of x, by a weight of any element type.
QUIPU_INLINE void rmsNormRow(const float* x, const View& weight, float* out, size_t width, float epsilon) {
  withElements(weight, [&](auto elements) { rmsNormRow(x, elements, out, width, epsilon); });
}

static size_t rmsNormTasks(const OpCall& call, uint32_t) { return call[rms_norm::kX].dims[0]; }

static void rmsNorm(const OpCall& call, Worker& worker) {
  const View& x = call[rms_norm::kX];
  const size_t width = x.dims[1];
  const float epsilon = call.floatAttribute(rms_norm::kEpsilon);
  for (size_t row; worker.next(row);) {
    rmsNormRow(x.as<float>() + row * width, call[rms_norm::kWeight], call[rms_norm::kOut].as<float>() + row * width,
               width, epsilon);
  }
}

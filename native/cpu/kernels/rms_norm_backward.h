// rmsNormBackward: with s = 1 / √(mean x² + ε) of a row, dX = s · (dOut · weight) − x · (s³ · Σ dOut · weight · x / D)
// and dWeight = Σ dOut · (x · s) over the rows. Moves 20 T D bytes: bound by memory. In two phases:
//
//   rows      a task is some rows: dX, and s, which stays in shared [T]
//   features  a task is a run of features: dWeight, in the order of sums over rows (docs/numerics.md)

static constexpr size_t kNormRows = 8, kNormFeatures = 64;  // of a task

template <typename E>
QUIPU_INLINE float normBackwardRow(const float* x, const E* weight, const float* dOut, float* dX, size_t width,
                                   float epsilon) {
  f32x16 squares = zero(), products = zero();
  for (size_t k = 0; k < width; k += 16) {
    const size_t n = atMost(width - k, 16);
    const f32x16 v = loadFirst(x + k, n);
    squares = fma(v, v, squares);
    products = fma(mul(loadFirst(dOut + k, n), loadWidePart(weight + k, n)), v, products);
  }
  const float scale = 1.0f / __builtin_sqrtf(sum(squares) / float(width) + epsilon);
  const float part = scale * scale * scale * (sum(products) / float(width));
  for (size_t k = 0; k < width; k += 16) {
    const size_t n = atMost(width - k, 16);
    const f32x16 weighted = mul(loadFirst(dOut + k, n), loadWidePart(weight + k, n));
    const f32x16 along = mul(loadFirst(x + k, n), broadcast(part));
    storeFirst(dX + k, fma(weighted, broadcast(scale), negate(along)), n);
  }
  return scale;
}

static size_t normBackwardSharedBytes(const OpCall& call) {
  return size_t(call[rms_norm_backward::kX].dims[0]) * sizeof(float);
}

static size_t normBackwardTasks(const OpCall& call, uint32_t) {
  return (size_t(call[rms_norm_backward::kX].dims[0]) + kNormRows - 1) / kNormRows;
}

static void normBackwardRows(const OpCall& call, Worker& worker) {
  const View& x = call[rms_norm_backward::kX];
  const size_t width = x.dims[1];
  auto* scales = reinterpret_cast<float*>(worker.shared);
  const float* dOut = call[rms_norm_backward::kDOut].as<float>();
  float* dX = call[rms_norm_backward::kDX].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t last = atMost((task + 1) * kNormRows, x.dims[0]);
    withElements(call[rms_norm_backward::kWeight], [&](auto weight) {
      for (size_t row = task * kNormRows; row < last; ++row) {
        scales[row] = normBackwardRow(x.as<float>() + row * width, weight, dOut + row * width, dX + row * width, width,
                                      call.floatAttribute(rms_norm_backward::kEpsilon));
      }
    });
  }
}

static size_t normWeightTasks(const OpCall& call, uint32_t) {
  return (size_t(call[rms_norm_backward::kX].dims[1]) + kNormFeatures - 1) / kNormFeatures;
}

static void normWeightRun(const OpCall& call, Worker& worker) {
  const View& x = call[rms_norm_backward::kX];
  const size_t rows = x.dims[0], width = x.dims[1];
  const float *values = x.as<float>(), *dOut = call[rms_norm_backward::kDOut].as<float>();
  const auto* scales = reinterpret_cast<const float*>(worker.shared);
  float* dWeight = call[rms_norm_backward::kDWeight].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * kNormFeatures, width);
    for (size_t k = task * kNormFeatures; k < end; k += 16) {
      const size_t n = atMost(end - k, 16);
      f32x16 total = zero();
      for (size_t first = 0; first < rows; first += kBlock) {
        f32x16 block = zero();
        for (size_t row = first; row < atMost(first + kBlock, rows); ++row) {
          const f32x16 unit = mul(loadFirst(values + row * width + k, n), broadcast(scales[row]));
          block = fma(loadFirst(dOut + row * width + k, n), unit, block);
        }
        total = first == 0 ? block : add(total, block);
      }
      storeFirst(dWeight + k, total, n);
    }
  }
}

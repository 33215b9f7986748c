// crossEntropy: the loss of rows of logits, and its gradient. Reads a row twice and writes it twice, one
// exp an element: bound by arithmetic. A task is a row.

// What a row's softmax is made of: its greatest logit, and Σ exp(logit − greatest), sixteen lanes over blocks, the
// blocks in f64. The weights are kept where there is room for them. A NaN among the logits is one in the sum.
struct RowMass {
  float greatest;
  double sum;
};

static RowMass massOf(const float* logits, size_t count, float* weights) {
  f32x16 greatest = broadcast(-__builtin_inff());
  size_t i = 0;
  for (; i + 16 <= count; i += 16) greatest = max(load(logits + i), greatest);
  if (const size_t n = count - i; n > 0) {
    greatest = max(select(firstLanes(n), loadPart(logits + i, n), greatest), greatest);
  }
  const float most = maximum(greatest);
  double total = 0;
  for (size_t first = 0; first < count; first += kSampleBlock) {
    const size_t end = atMost(first + kSampleBlock, count);
    f32x16 lanes = zero();
    for (i = first; i < end; i += 16) {
      const size_t n = atMost(end - i, 16);
      const f32x16 weight = expOfDifference(sub(loadFirst(logits + i, n), broadcast(most)));
      lanes = add(lanes, n == 16 ? weight : select(firstLanes(n), weight, zero()));
      if (weights != nullptr) storeFirst(weights + i, weight, n);
    }
    total += double(sum(lanes));
  }
  return {most, total};
}

// A NaN has no logarithm of its own bits.
QUIPU_INLINE double logMass(const RowMass& mass) { return mass.sum >= 1 ? logarithm(mass.sum) : __builtin_nan(""); }

QUIPU_INLINE bool isId(int32_t id, size_t vocabulary) { return id >= 0 && size_t(id) < vocabulary; }

static size_t crossEntropyTasks(const OpCall& call, uint32_t) { return call[cross_entropy::kLogits].dims[0]; }

static void crossEntropyRows(const OpCall& call, Worker& worker) {
  const View& view = call[cross_entropy::kLogits];
  const size_t count = view.dims[1];
  const int32_t* targets = call[cross_entropy::kTargets].as<int32_t>();
  const float* weights = call[cross_entropy::kWeights].as<float>();
  float* losses = call[cross_entropy::kLosses].as<float>();
  for (size_t row; worker.next(row);) {
    const float* logits = view.as<float>() + row * count;
    float* dLogits = call[cross_entropy::kDLogits].as<float>() + row * count;
    const int32_t target = targets[row];
    if (!isId(target, count)) {
      losses[row] = 0.0f;
      __builtin_memset(dLogits, 0, count * sizeof(float));
      continue;
    }
    const float logit = logits[target];  // dLogits may lie over it
    const RowMass mass = massOf(logits, count, dLogits);
    losses[row] = weights[row] * float(logMass(mass) - (double(logit) - double(mass.greatest)));
    const f32x16 share = broadcast(float(1.0 / mass.sum)), weight = broadcast(weights[row]);
    for (size_t i = 0; i < count; i += 16) {
      const size_t n = atMost(count - i, 16);
      storeFirst(dLogits + i, mul(mul(loadFirst(dLogits + i, n), share), weight), n);
    }
    dLogits[target] -= weights[row];
  }
}

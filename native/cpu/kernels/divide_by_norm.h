// divideByNorm: out = x · 1 / (√Σ x² + ε), the sum that of sumSquares; out may be x. Moves 12 bytes an element: bound
// by memory. A task is a block of elements, whose squares stay in shared.

static size_t divideByNormSharedBytes(const OpCall& call) {
  return squareBlocksOf(elementsOf(call[divide_by_norm::kX])) * sizeof(float);
}

static size_t divideByNormTasks(const OpCall& call, uint32_t) {
  return squareBlocksOf(elementsOf(call[divide_by_norm::kX]));
}

static void divideByNormSquares(const OpCall& call, Worker& worker) {
  const View& x = call[divide_by_norm::kX];
  for (size_t task; worker.next(task);) {
    reinterpret_cast<float*>(worker.shared)[task] = squaresOfBlock(x.as<float>(), elementsOf(x), task);
  }
}

static void divideByNormRun(const OpCall& call, Worker& worker) {
  const View& x = call[divide_by_norm::kX];
  const size_t count = elementsOf(x);
  const float squares = squaresOfBlocks(reinterpret_cast<const float*>(worker.shared), count);
  const f32x16 inverse = broadcast(1.0f / (__builtin_sqrtf(squares) + call.floatAttribute(divide_by_norm::kEpsilon)));
  float* out = call[divide_by_norm::kOut].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * kSquareBlock, count);
    for (size_t i = task * kSquareBlock; i < end; i += 16) {
      const size_t n = atMost(end - i, 16);
      storeFirst(out + i, mul(loadFirst(x.as<float>() + i, n), inverse), n);
    }
  }
}

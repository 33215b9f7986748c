// sumSquares: Σ x² of blocks, each in sixteen lanes, then the sum of those in f64. Moves 4 bytes an element: bound by
// memory. A task of the first phase is a block, whose sum stays in shared.

static constexpr size_t kSquareBlock = 8192;

QUIPU_INLINE size_t squareBlocksOf(size_t count) { return (count + kSquareBlock - 1) / kSquareBlock; }

// Of a block of `count` elements.
QUIPU_INLINE float squaresOfBlock(const float* x, size_t count, size_t block) {
  const size_t end = atMost((block + 1) * kSquareBlock, count);
  f32x16 squares = zero();
  for (size_t i = block * kSquareBlock; i < end; i += 16) {
    const f32x16 v = loadFirst(x + i, atMost(end - i, 16));
    squares = fma(v, v, squares);
  }
  return sum(squares);
}

QUIPU_INLINE float squaresOfBlocks(const float* blocks, size_t count) {
  double total = 0;
  for (size_t block = 0; block < squareBlocksOf(count); ++block) total += double(blocks[block]);
  return float(total);
}

static size_t sumSquaresSharedBytes(const OpCall& call) {
  return squareBlocksOf(call[sum_squares::kX].dims[0]) * sizeof(float);
}

static size_t sumSquaresTasks(const OpCall& call, uint32_t) { return squareBlocksOf(call[sum_squares::kX].dims[0]); }

static void sumSquaresRun(const OpCall& call, Worker& worker) {
  const View& x = call[sum_squares::kX];
  for (size_t task; worker.next(task);) {
    reinterpret_cast<float*>(worker.shared)[task] = squaresOfBlock(x.as<float>(), x.dims[0], task);
  }
}

static void sumSquaresTotal(const OpCall& call, Worker& worker) {
  for (size_t task; worker.next(task);) {
    *call[sum_squares::kOut].as<float>() =
        squaresOfBlocks(reinterpret_cast<const float*>(worker.shared), call[sum_squares::kX].dims[0]);
  }
}

// sumSquares: Σ x² of blocks, each in sixteen lanes, then the sum of those in f64. Moves 4 bytes an element: bound by
// memory. A task of the first phase is a block, whose sum stays in shared.

static constexpr size_t kSquareBlock = 8192;
static size_t squareBlocks(const OpCall& call) {
  return (size_t(call[sum_squares::kX].dims[0]) + kSquareBlock - 1) / kSquareBlock;
}

static size_t sumSquaresSharedBytes(const OpCall& call) { return squareBlocks(call) * sizeof(float); }

static size_t sumSquaresTasks(const OpCall& call, uint32_t) { return squareBlocks(call); }

static void sumSquaresRun(const OpCall& call, Worker& worker) {
  const View& view = call[sum_squares::kX];
  const float* x = view.as<float>();
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * kSquareBlock, view.dims[0]);
    f32x16 squares = zero();
    for (size_t i = task * kSquareBlock; i < end; i += 16) {
      const f32x16 v = loadFirst(x + i, atMost(end - i, 16));
      squares = fma(v, v, squares);
    }
    reinterpret_cast<float*>(worker.shared)[task] = sum(squares);
  }
}

static void sumSquaresTotal(const OpCall& call, Worker& worker) {
  for (size_t task; worker.next(task);) {
    double total = 0;
    for (size_t block = 0; block < squareBlocks(call); ++block) {
      total += double(reinterpret_cast<const float*>(worker.shared)[block]);
    }
    *call[sum_squares::kOut].as<float>() = float(total);
  }
}

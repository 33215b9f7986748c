// transpose: out = xᵀ, in tiles of 16 × 16. Moves 8 bytes an element: bound by memory. A task is sixteen rows of out.

static size_t transposeTasks(const OpCall& call, uint32_t) { return (size_t(call[transpose::kX].dims[1]) + 15) / 16; }

static void transposeRun(const OpCall& call, Worker& worker) {
  const size_t rows = call[transpose::kX].dims[0], columns = call[transpose::kX].dims[1];
  const float* x = call[transpose::kX].as<float>();
  float* out = call[transpose::kOut].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t column = task * 16, width = atMost(columns - column, 16);
    for (size_t row = 0; row < rows; row += 16) {
      const size_t height = atMost(rows - row, 16);
      f32x16 lanes[16];
      for (size_t i = 0; i < 16; ++i) {
        lanes[i] = i < height ? loadFirst(x + (row + i) * columns + column, width) : zero();
      }
      transpose(lanes);
      for (size_t i = 0; i < width; ++i) storeFirst(out + (column + i) * rows + row, lanes[i], height);
    }
  }
}

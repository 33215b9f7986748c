// ropeBackward: rope by the angles' negatives. Moves 8 bytes and does 3 flops an element: bound by memory. A task is
// some rows; the angles of one lie in scratch as those of rope do, with the sines negated.

static constexpr size_t kRopeRows = 8;  // of a task

static size_t ropeBackwardScratchBytes(const OpCall& call) {
  return size_t(call[rope_backward::kAngles].dims[1]) * kRopeAngleBytes;
}

static size_t ropeBackwardTasks(const OpCall& call, uint32_t) {
  return (size_t(call[rope_backward::kDOut].dims[0]) + kRopeRows - 1) / kRopeRows;
}

static void ropeBackward(const OpCall& call, Worker& worker) {
  const View& from = call[rope_backward::kDOut];
  const size_t width = from.dims[1], half = call[rope_backward::kAngles].dims[1];
  float* cosines = reinterpret_cast<float*>(worker.scratch);
  for (size_t task; worker.next(task);) {
    for (size_t row = task * kRopeRows; row < atMost((task + 1) * kRopeRows, from.dims[0]); ++row) {
      unzipAngles(call[rope_backward::kAngles].as<float>() + row * half * 2, half, cosines);
      for (size_t j = half; j < 2 * half; ++j) cosines[j] = -cosines[j];
      ropeHeads(from.as<float>() + row * width, call[rope_backward::kDX].as<float>() + row * width, width, cosines,
                half);
    }
  }
}

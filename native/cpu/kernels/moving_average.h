// movingAverage: average = fma(share, value − average, average), element by element. Moves 12 bytes an element: bound
// by memory. A task is a run of elements.

static size_t movingAverageTasks(const OpCall& call, uint32_t) {
  return (size_t(call[moving_average::kValue].dims[0]) + kAddRun - 1) / kAddRun;
}

static void movingAverageRun(const OpCall& call, Worker& worker) {
  const size_t count = call[moving_average::kValue].dims[0];
  const float* value = call[moving_average::kValue].as<float>();
  float* average = call[moving_average::kAverage].as<float>();
  const f32x16 share = broadcast(*call[moving_average::kShare].as<float>());
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * kAddRun, count);
    for (size_t i = task * kAddRun; i < end; i += 16) {
      const size_t n = atMost(end - i, 16);
      const f32x16 before = loadFirst(average + i, n);
      storeFirst(average + i, fma(share, sub(loadFirst(value + i, n), before), before), n);
    }
  }
}

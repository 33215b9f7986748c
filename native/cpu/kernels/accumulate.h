// accumulate: sum += value, element by element. Moves 12 bytes an element: bound by memory. A task is a run of
// elements.

static size_t accumulateTasks(const OpCall& call, uint32_t) {
  const View& value = call[accumulate::kValue];
  return (size_t(value.dims[0]) * value.dims[1] + kAddRun - 1) / kAddRun;
}

static void accumulateRun(const OpCall& call, Worker& worker) {
  const View& view = call[accumulate::kValue];
  const size_t count = size_t(view.dims[0]) * view.dims[1];
  const float* value = view.as<float>();
  float* sum = call[accumulate::kSum].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t first = task * kAddRun;
    addElements(sum + first, value + first, sum + first, atMost(count - first, kAddRun));
  }
}

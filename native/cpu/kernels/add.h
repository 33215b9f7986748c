// add: out = a + b, element by element; out may be a or b. Moves 12 bytes an element: bound by memory. A task is a run
// of elements.

static constexpr size_t kAddRun = 8192;

QUIPU_INLINE void addElements(const float* a, const float* b, float* out, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) store(out + i, add(load(a + i), load(b + i)));
  if (i < count) storePart(out + i, add(loadPart(a + i, count - i), loadPart(b + i, count - i)), count - i);
}

static size_t addTasks(const OpCall& call, uint32_t) {
  const View& out = call[add::kOut];
  return (size_t(out.dims[0]) * out.dims[1] + kAddRun - 1) / kAddRun;
}

static void addRun(const OpCall& call, Worker& worker) {
  const View& view = call[add::kOut];
  const size_t count = size_t(view.dims[0]) * view.dims[1];
  const float *a = call[add::kA].as<float>(), *b = call[add::kB].as<float>();
  float* out = view.as<float>();
  for (size_t task; worker.next(task);) {
    const size_t first = task * kAddRun, left = count - first;
    addElements(a + first, b + first, out + first, left < kAddRun ? left : kAddRun);
  }
}

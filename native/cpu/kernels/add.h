// add: out = a + b, element by element; out may be a or b. Moves 12 bytes an element: bound by memory. A task is a run
// of elements.

static constexpr size_t kAddRun = 8192;

static size_t addTasks(const OpCall& call, uint32_t) {
  const View& out = call[add::kOut];
  return (size_t(out.dims[0]) * out.dims[1] + kAddRun - 1) / kAddRun;
}

static void addElements(const OpCall& call, Worker& worker) {
  const View& view = call[add::kOut];
  const size_t count = size_t(view.dims[0]) * view.dims[1];
  const float *a = call[add::kA].as<float>(), *b = call[add::kB].as<float>();
  float* out = view.as<float>();
  for (size_t task; worker.next(task);) {
    const size_t end = task * kAddRun + kAddRun < count ? task * kAddRun + kAddRun : count;
    size_t i = task * kAddRun;
    for (; i + 16 <= end; i += 16) store(out + i, add(load(a + i), load(b + i)));
    if (i < end) storePart(out + i, add(loadPart(a + i, end - i), loadPart(b + i, end - i)), end - i);
  }
}

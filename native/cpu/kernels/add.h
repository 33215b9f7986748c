// add: out = a + b, element by element; out may be a or b. Moves 12 bytes an element: bound by memory. A task is a run
// of elements.

static void addElements(const OpCall& call, Worker& worker) {
  constexpr size_t kRun = 8192;
  const View& view = call[add::kOut];
  const size_t count = size_t(view.dims[0]) * view.dims[1], tasks = (count + kRun - 1) / kRun;
  const float *a = call[add::kA].as<float>(), *b = call[add::kB].as<float>();
  float* out = view.as<float>();
  for (size_t task = worker.next(tasks); task < tasks; task = worker.next(tasks)) {
    const size_t end = task * kRun + kRun < count ? task * kRun + kRun : count;
    size_t i = task * kRun;
    for (; i + 16 <= end; i += 16) store(out + i, add(load(a + i), load(b + i)));
    if (i < end) storePart(out + i, add(loadPart(a + i, end - i), loadPart(b + i, end - i)), end - i);
  }
}

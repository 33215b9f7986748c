// scatterAddRows: out[n] = Σ rows[t] over the t whose ids[t] is n, ascending. Moves the rows once, and out once or, for
// ids that come again, from L2: bound by memory. A task is a run of rows of out; it looks through all ids.

static constexpr size_t kScatterRows = 128;  // of a task

static size_t scatterAddTasks(const OpCall& call, uint32_t) {
  return (size_t(call[scatter_add_rows::kOut].dims[0]) + kScatterRows - 1) / kScatterRows;
}

static void scatterAddRun(const OpCall& call, Worker& worker) {
  const View &rows = call[scatter_add_rows::kRows], &view = call[scatter_add_rows::kOut];
  const size_t count = rows.dims[0], width = rows.dims[1];
  const int32_t* ids = call[scatter_add_rows::kIds].as<int32_t>();
  for (size_t task; worker.next(task);) {
    const size_t first = task * kScatterRows, last = atMost(first + kScatterRows, view.dims[0]);
    float* out = view.as<float>();
    __builtin_memset(out + first * width, 0, (last - first) * width * sizeof(float));
    for (size_t t = 0; t < count; ++t) {
      if (ids[t] < 0 || size_t(ids[t]) < first || size_t(ids[t]) >= last) continue;
      float* to = out + size_t(ids[t]) * width;
      addElements(to, rows.as<float>() + t * width, to, width);
    }
  }
}

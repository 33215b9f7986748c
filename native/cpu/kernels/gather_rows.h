// gatherRows: out[t] = table[ids[t]] widened to f32, zeros where the table has no such row. Moves a row in and a row
// out: bound by memory. A task is a row.

static size_t gatherTasks(const OpCall& call, uint32_t) { return call[gather_rows::kOut].dims[0]; }

static void gatherRows(const OpCall& call, Worker& worker) {
  const View& out = call[gather_rows::kOut];
  const size_t width = out.dims[1], tableRows = call[gather_rows::kTable].dims[0];
  const View& table = call[gather_rows::kTable];
  const int32_t* ids = call[gather_rows::kIds].as<int32_t>();
  if (isPacked(table.dtype)) {
    for (size_t row; worker.next(row);) {
      const int32_t id = ids[row];
      float* to = out.as<float>() + row * width;
      if (id >= 0 && size_t(id) < tableRows) {
        packedRow(table, size_t(id), to);
      } else {
        for (size_t k = 0; k < width; ++k) to[k] = 0;
      }
    }
    return;
  }
  withElements(table, [&](auto stored) {
    for (size_t row; worker.next(row);) {
      float* to = out.as<float>() + row * width;
      const int32_t id = ids[row];
      const bool found = id >= 0 && size_t(id) < tableRows;
      const auto* from = stored + (found ? size_t(id) : 0) * width;
      size_t k = 0;
      for (; k + 16 <= width; k += 16) store(to + k, found ? loadWide(from + k) : zero());
      if (k < width) storePart(to + k, found ? loadWidePart(from + k, width - k) : zero(), width - k);
    }
  });
}

// gatherRows: out[t] = table[ids[t]] widened to f32, zeros where the table has no such row. Moves a row in and a row
// out: bound by memory. A task is a row.

// Row ids[row] of a table, [width].
QUIPU_INLINE void gatherRow(const View& table, int32_t id, float* to) {
  const size_t width = table.dims[1];
  const bool found = id >= 0 && size_t(id) < table.dims[0];
  if (isPacked(table.dtype) && found) return packedRow(table, size_t(id), to);
  if (!found) {
    for (size_t k = 0; k < width; ++k) to[k] = 0;
    return;
  }
  withElements(table, [&](auto stored) {
    const auto* from = stored + size_t(id) * width;
    size_t k = 0;
    for (; k + 16 <= width; k += 16) store(to + k, loadWide(from + k));
    if (k < width) storePart(to + k, loadWidePart(from + k, width - k), width - k);
  });
}

static size_t gatherTasks(const OpCall& call, uint32_t) { return call[gather_rows::kOut].dims[0]; }

static void gatherRows(const OpCall& call, Worker& worker) {
  const View& out = call[gather_rows::kOut];
  const int32_t* ids = call[gather_rows::kIds].as<int32_t>();
  for (size_t row; worker.next(row);) {
    gatherRow(call[gather_rows::kTable], ids[row], out.as<float>() + row * size_t(out.dims[1]));
  }
}

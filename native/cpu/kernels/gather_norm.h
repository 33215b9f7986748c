// gatherNorm: rmsNorm of gatherRows, a row at a time in the place of the result. Moves a row in and a row out; saves a
// phase and 8 bytes an element. A task is a row.

static size_t gatherNormTasks(const OpCall& call, uint32_t) { return call[gather_norm::kOut].dims[0]; }

static void gatherNorm(const OpCall& call, Worker& worker) {
  const View& out = call[gather_norm::kOut];
  const size_t width = out.dims[1];
  const int32_t* ids = call[gather_norm::kIds].as<int32_t>();
  for (size_t row; worker.next(row);) {
    float* to = out.as<float>() + row * width;
    gatherRow(call[gather_norm::kTable], ids[row], to);
    rmsNormRow(to, call[gather_norm::kWeight], to, width, call.floatAttribute(gather_norm::kEpsilon));
  }
}

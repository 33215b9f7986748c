// advance: what was sampled becomes the next step's input, so that steps follow each other without the host. Touches a
// few words a row: one thread does it.

static size_t advanceTasks(const OpCall&, uint32_t) { return 1; }

static void advanceRows(const OpCall& call, Worker& worker) {
  const View &sampled = call[advance::kSampled], &ids = call[advance::kIds], &history = call[advance::kHistory];
  const View& stops = call[advance::kStops];
  // What is written keeps the bounds of its buffers; that of positions is at most the context (op_table).
  const uint32_t bound = ids.bound < history.bound ? ids.bound : history.bound;
  const uint32_t context = history.dims[1], end = call[advance::kPositions].bound;
  if (size_t whole; !worker.next(whole)) return;
  for (uint32_t row = 0; row < sampled.dims[0]; ++row) {
    const int32_t stepRow = call[advance::kOutputRows].as<int32_t>()[row];
    if (stepRow < 0) continue;
    int32_t& slot = call[advance::kSlots].as<int32_t>()[stepRow];
    int32_t& position = call[advance::kPositions].as<int32_t>()[stepRow];
    if (slot < 0 || position < 0) continue;
    const int32_t id = sampled.as<int32_t>()[row];
    if (id < 0 || uint32_t(id) >= bound) {
      slot = -1;
      worker.fail(ErrorCode::kInternal, row);
      continue;
    }
    const uint32_t next = uint32_t(position) + 1;
    const int32_t* stop = stops.as<int32_t>() + size_t(slot) * stops.dims[1];
    bool ends = next >= end;
    for (uint32_t i = 0; i < stops.dims[1]; ++i) ends = ends || stop[i] == id;
    if (next < end) {
      history.as<int32_t>()[size_t(slot) * context + next] = id;
      ids.as<int32_t>()[stepRow] = id;
      position = int32_t(next);
    }
    if (ends) slot = -1;
  }
}

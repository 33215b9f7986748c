// advance: what was sampled is left where the slot's next step finds it, so that steps follow each other without the
// host. Touches a few words a row: one thread does it.

static size_t advanceTasks(const OpCall&, uint32_t) { return 1; }

static void advanceRows(const OpCall& call, Worker& worker) {
  const View &sampled = call[advance::kSampled], &history = call[advance::kHistory], &stops = call[advance::kStops];
  const View& nextPositions = call[advance::kNextPositions];
  const uint32_t context = history.dims[1];
  if (size_t whole; !worker.next(whole)) return;
  for (uint32_t row = 0; row < sampled.dims[0]; ++row) {
    const int32_t stepRow = call[advance::kOutputRows].as<int32_t>()[row];
    if (stepRow < 0) continue;
    const int32_t slot = call[advance::kSlots].as<int32_t>()[stepRow];
    const int32_t position = call[advance::kPositions].as<int32_t>()[stepRow];
    if (slot < 0 || position < 0) continue;
    int32_t& nextPosition = nextPositions.as<int32_t>()[slot];
    nextPosition = -1;
    const int32_t id = sampled.as<int32_t>()[row];
    if (id == -1) continue;  // the row had no token and has none to go on with
    if (uint32_t(id) >= history.bound) {
      worker.fail(ErrorCode::kInternal, row);
      continue;
    }
    // What is written keeps the bounds of its buffers; that of positions is at most the context (the op's row).
    const uint32_t next = uint32_t(position) + 1;
    if (next >= nextPositions.bound) continue;
    history.as<int32_t>()[size_t(slot) * context + next] = id;
    call[advance::kLastIds].as<int32_t>()[slot] = id;
    const int32_t* stop = stops.as<int32_t>() + size_t(slot) * stops.dims[1];
    bool ends = false;
    for (uint32_t i = 0; i < stops.dims[1]; ++i) ends = ends || stop[i] == id;
    if (!ends) nextPosition = int32_t(next);
  }
}

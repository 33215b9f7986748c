// resume: the rows of a step, out of what the host has written and what the slots' last steps have left. Touches a few
// words a row: one thread does it.

static size_t resumeTasks(const OpCall&, uint32_t) { return 1; }

static void resumeRows(const OpCall& call, Worker& worker) {
  const View &rowSlots = call[resume::kRowSlots], &slots = call[resume::kSlots], &positions = call[resume::kPositions];
  if (size_t whole; !worker.next(whole)) return;
  for (uint32_t row = 0; row < rowSlots.dims[0]; ++row) {
    int32_t slot = rowSlots.as<int32_t>()[row];
    int32_t id = call[resume::kRowIds].as<int32_t>()[row];
    int32_t position = call[resume::kRowPositions].as<int32_t>()[row];
    if (slot >= 0 && position < 0) {
      id = call[resume::kLastIds].as<int32_t>()[slot];
      position = call[resume::kNextPositions].as<int32_t>()[slot];
    }
    // What is written keeps the bounds of its buffers.
    const bool padding =
        slot < 0 || position < 0 || uint32_t(slot) >= slots.bound || uint32_t(position) >= positions.bound;
    call[resume::kIds].as<int32_t>()[row] = padding ? 0 : id;
    slots.as<int32_t>()[row] = padding ? -1 : slot;
    positions.as<int32_t>()[row] = padding ? -1 : position;
  }
}

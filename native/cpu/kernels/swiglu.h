// swiglu: out = (gate / (1 + exp(−gate))) · up (arXiv:2002.05202), element by element; out may be gate or up. Moves 12
// bytes and does about 25 flops an element: bound by memory from DRAM, by arithmetic from L2. A task is a run of
// elements.

static constexpr size_t kSwigluRun = 4096;

QUIPU_INLINE f32x16 swigluLanes(f32x16 gate, f32x16 up) {
  return mul(div(gate, add(broadcast(1.0f), exp(negate(gate)))), up);
}

static void swigluElements(const float* gate, const float* up, float* out, size_t count) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) store(out + i, swigluLanes(load(gate + i), load(up + i)));
  if (i < count) storePart(out + i, swigluLanes(loadPart(gate + i, count - i), loadPart(up + i, count - i)), count - i);
}

static size_t swigluTasks(const OpCall& call, uint32_t) {
  const View& out = call[swiglu::kOut];
  return (size_t(out.dims[0]) * out.dims[1] + kSwigluRun - 1) / kSwigluRun;
}

static void swigluRun(const OpCall& call, Worker& worker) {
  const View& view = call[swiglu::kOut];
  const size_t count = size_t(view.dims[0]) * view.dims[1];
  const float *gate = call[swiglu::kGate].as<float>(), *up = call[swiglu::kUp].as<float>();
  float* out = view.as<float>();
  for (size_t task; worker.next(task);) {
    const size_t first = task * kSwigluRun, left = count - first;
    swigluElements(gate + first, up + first, out + first, left < kSwigluRun ? left : kSwigluRun);
  }
}

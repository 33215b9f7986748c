// swiglu: out = (gate / (1 + exp(−gate))) · up (arXiv:2002.05202), element by element; out may be gate or up. Moves 12
// bytes and does about 25 flops an element: bound by memory from DRAM, by arithmetic from L2. A task is a run of
// elements.

QUIPU_INLINE f32x16 swigluLanes(f32x16 gate, f32x16 up) {
  return mul(div(gate, add(broadcast(1.0f), exp(negate(gate)))), up);
}

static constexpr size_t kSwigluRun = 4096;

static size_t swigluTasks(const OpCall& call, uint32_t) {
  const View& out = call[swiglu::kOut];
  return (size_t(out.dims[0]) * out.dims[1] + kSwigluRun - 1) / kSwigluRun;
}

static void swiglu(const OpCall& call, Worker& worker) {
  const View& view = call[swiglu::kOut];
  const size_t count = size_t(view.dims[0]) * view.dims[1];
  const float *gate = call[swiglu::kGate].as<float>(), *up = call[swiglu::kUp].as<float>();
  float* out = view.as<float>();
  for (size_t task; worker.next(task);) {
    const size_t end = task * kSwigluRun + kSwigluRun < count ? task * kSwigluRun + kSwigluRun : count;
    size_t i = task * kSwigluRun;
    for (; i + 16 <= end; i += 16) store(out + i, swigluLanes(load(gate + i), load(up + i)));
    if (i < end) storePart(out + i, swigluLanes(loadPart(gate + i, end - i), loadPart(up + i, end - i)), end - i);
  }
}

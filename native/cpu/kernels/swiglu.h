// swiglu: out = (gate / (1 + exp(−gate))) · up (arXiv:2002.05202), element by element; out may be gate or up. Moves 12
// bytes and does about 25 flops an element: bound by memory from DRAM, by arithmetic from L2. A task is a run of
// elements.

QUIPU_INLINE f32x16 swigluLanes(f32x16 gate, f32x16 up) {
  return mul(div(gate, add(broadcast(1.0f), exp(negate(gate)))), up);
}

static void swiglu(const OpCall& call, Worker& worker) {
  constexpr size_t kRun = 4096;
  const View& view = call[swiglu::kOut];
  const size_t count = size_t(view.dims[0]) * view.dims[1], tasks = (count + kRun - 1) / kRun;
  const float *gate = call[swiglu::kGate].as<float>(), *up = call[swiglu::kUp].as<float>();
  float* out = view.as<float>();
  for (size_t task = worker.next(tasks); task < tasks; task = worker.next(tasks)) {
    const size_t end = task * kRun + kRun < count ? task * kRun + kRun : count;
    size_t i = task * kRun;
    for (; i + 16 <= end; i += 16) store(out + i, swigluLanes(load(gate + i), load(up + i)));
    if (i < end) storePart(out + i, swigluLanes(loadPart(gate + i, end - i), loadPart(up + i, end - i)), end - i);
  }
}

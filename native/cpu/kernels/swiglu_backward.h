// swigluBackward: with σ = 1 / (1 + exp(−gate)), dUp = dOut · (gate · σ) and dGate = (dOut · up) · (σ · (1 + gate · (1
// − σ))), element by element; either result may be any of the operands. Moves 20 bytes and does about 30 flops an
// element: bound by memory from DRAM, by arithmetic from L2. A task is a run of elements.

struct SwigluGradients {
  f32x16 gate, up;
};

QUIPU_INLINE SwigluGradients swigluGradients(f32x16 gate, f32x16 up, f32x16 dOut) {
  const f32x16 one = broadcast(1.0f), sigma = div(one, add(one, exp(negate(gate))));
  const f32x16 slope = mul(sigma, fma(gate, sub(one, sigma), one));
  return {mul(mul(dOut, up), slope), mul(dOut, mul(gate, sigma))};
}

static size_t swigluBackwardTasks(const OpCall& call, uint32_t) {
  const View& gate = call[swiglu_backward::kGate];
  return (size_t(gate.dims[0]) * gate.dims[1] + kSwigluRun - 1) / kSwigluRun;
}

static void swigluBackwardRun(const OpCall& call, Worker& worker) {
  const View& view = call[swiglu_backward::kGate];
  const size_t count = size_t(view.dims[0]) * view.dims[1];
  const float *gate = view.as<float>(), *up = call[swiglu_backward::kUp].as<float>();
  const float* dOut = call[swiglu_backward::kDOut].as<float>();
  float *dGate = call[swiglu_backward::kDGate].as<float>(), *dUp = call[swiglu_backward::kDUp].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t first = task * kSwigluRun, end = atMost(first + kSwigluRun, count);
    for (size_t i = first; i < end; i += 16) {
      const size_t n = atMost(end - i, 16);
      const SwigluGradients gradients =
          swigluGradients(loadFirst(gate + i, n), loadFirst(up + i, n), loadFirst(dOut + i, n));
      storeFirst(dGate + i, gradients.gate, n);
      storeFirst(dUp + i, gradients.up, n);
    }
  }
}

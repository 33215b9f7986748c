// nesterov: momentum, and the update that looks one step ahead, element by element; the gradient is 0 afterwards. Moves
// 20 bytes an element: bound by memory. A task is a run of elements.

static constexpr size_t kNesterovRun = 4096;

static size_t nesterovTasks(const OpCall& call, uint32_t) {
  return (elementsOf(call[nesterov::kGradient]) + kNesterovRun - 1) / kNesterovRun;
}

static void nesterovRun(const OpCall& call, Worker& worker) {
  const size_t count = elementsOf(call[nesterov::kGradient]);
  float *gradient = call[nesterov::kGradient].as<float>(), *momentum = call[nesterov::kMomentum].as<float>();
  float* out = call[nesterov::kOut].as<float>();
  const f32x16 beta = broadcast(call.floatAttribute(nesterov::kBeta));
  const float factor = *call[nesterov::kFactor].as<float>();
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * kNesterovRun, count);
    for (size_t i = task * kNesterovRun; i < end; i += 16) {
      const size_t n = atMost(end - i, 16);
      const f32x16 g = mul(loadFirst(gradient + i, n), broadcast(factor));
      storeFirst(gradient + i, zero(), n);
      if (factor == 0.0f) {
        storeFirst(out + i, zero(), n);
        continue;
      }
      const f32x16 m = keptMoment(fma(beta, loadFirst(momentum + i, n), g));
      storeFirst(momentum + i, m, n);
      storeFirst(out + i, fma(beta, m, g), n);
    }
  }
}

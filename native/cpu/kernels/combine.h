// combine: out = fma(α, a, β · b), element by element; out may be a or b. Moves 12 bytes an element: bound by memory. A
// task is a run of elements.

static size_t combineTasks(const OpCall& call, uint32_t) {
  return (elementsOf(call[combine::kA]) + kAddRun - 1) / kAddRun;
}

static void combineRun(const OpCall& call, Worker& worker) {
  const size_t count = elementsOf(call[combine::kA]);
  const float *a = call[combine::kA].as<float>(), *b = call[combine::kB].as<float>();
  float* out = call[combine::kOut].as<float>();
  const f32x16 alpha = broadcast(call.floatAttribute(combine::kAlpha));
  const f32x16 beta = broadcast(call.floatAttribute(combine::kBeta));
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * kAddRun, count);
    for (size_t i = task * kAddRun; i < end; i += 16) {
      const size_t n = atMost(end - i, 16);
      storeFirst(out + i, fma(alpha, loadFirst(a + i, n), mul(beta, loadFirst(b + i, n))), n);
    }
  }
}

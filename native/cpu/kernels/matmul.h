// matmul: out[t, n] = Σ_k a[t, k] · b[n, k], in the order of docs/numerics.md whichever form computes it: a row's
// result does not depend on the rows beside it.

static constexpr size_t kDotLimit = 8;  // activation rows up to which the dot form is faster

QUIPU_INLINE bool usesPanels(const OpCall& call) { return kHasPanels && call[matmul::kA].dims[0] > kDotLimit; }

static size_t matmulScratchBytes(const OpCall& call) { return usesPanels(call) ? panelScratchBytes() : 0; }

static size_t matmulSharedBytes(const OpCall& call) { return usesPanels(call) ? panelSharedBytes(call) : 0; }

static size_t matmulPackTasks(const OpCall& call, uint32_t) { return usesPanels(call) ? packTasks(call) : 0; }

static void matmulPack(const OpCall& call, Worker& worker) { packActivations(call, worker); }

static size_t matmulTasks(const OpCall& call, uint32_t threads) {
  if (usesPanels(call)) return panelTasks(call, threads);
  size_t tasks = 0;
  withElements(call[matmul::kB], [&](auto b) { tasks = dotTasks(call, b); });
  return tasks;
}

static void matmulRun(const OpCall& call, Worker& worker) {
  withElements(call[matmul::kB], [&](auto b) {
    if constexpr (kHasPanels) {
      if (usesPanels(call)) return multiplyPanels(call, b, worker);
    }
    matmulDot(call, b, worker);
  });
}

// matmul: out[t, n] = Σ_k a[t, k] · b[n, k], in the order of docs/numerics.md whichever form computes it: a row's
// result does not depend on the rows beside it.

static constexpr size_t kDotLimit = 8;  // activation rows up to which the dot form is faster

QUIPU_INLINE bool usesPanels(const OpCall& call) { return kHasPanels && call[matmul::kA].dims[0] > kDotLimit; }

static size_t matmulScratchBytes(const OpCall& call) { return usesPanels(call) ? panelScratchBytes() : 0; }

static size_t matmulSharedBytes(const OpCall& call) { return usesPanels(call) ? panelSharedBytes(call) : 0; }

static void matmulRun(const OpCall& call, Worker& worker) {
  withElements(call[matmul::kB], [&](auto b) {
    if constexpr (kHasPanels) {
      if (usesPanels(call)) return matmulPanel(call, b, worker);
    }
    matmulDot(call, b, worker);
  });
}

// normMatmulSwiglu: matmulSwiglu of rmsNorm of x. Phases: norms (norm_products.h), panels, products. Saves a phase and
// 8 bytes an element of x.
//
//   scratch   that of matmulSwiglu

static NormProducts<1> swigluProducts(const OpCall& call, std::byte* shared) {
  return {shared, call[norm_matmul_swiglu::kX], {&call[norm_matmul_swiglu::kGate]}};
}

// Calls f with the call of matmulSwiglu that is a part of this op.
template <typename F>
QUIPU_INLINE auto asMatmulSwiglu(const OpCall& call, const View& norm, F f) {
  const View operands[] = {norm, call[norm_matmul_swiglu::kGate], call[norm_matmul_swiglu::kUp],
                           call[norm_matmul_swiglu::kOut]};
  static_assert(matmul_swiglu::kA == 0 && matmul_swiglu::kGate == 1 && matmul_swiglu::kUp == 2 &&
                matmul_swiglu::kOut == 3);
  return f(OpCall{operands, 4, nullptr});
}

static size_t normMatmulSwigluScratchBytes(const OpCall& call) {
  return asMatmulSwiglu(call, swigluProducts(call, nullptr).norm, matmulSwigluScratchBytes);
}

static size_t normMatmulSwigluSharedBytes(const OpCall& call) { return swigluProducts(call, nullptr).bytes; }

static size_t swigluNormTasks(const OpCall& call, uint32_t) { return call[norm_matmul_swiglu::kX].dims[0]; }

static void swigluNorm(const OpCall& call, Worker& worker) {
  normRows(swigluProducts(call, worker.shared), call[norm_matmul_swiglu::kX], call[norm_matmul_swiglu::kNorm],
           call.floatAttribute(norm_matmul_swiglu::kEpsilon), worker);
}

static size_t swigluPanelTasks(const OpCall& call, uint32_t) { return normPanelTasks(swigluProducts(call, nullptr)); }

static void swigluPanels(const OpCall& call, Worker& worker) {
  normPanels(swigluProducts(call, worker.shared), worker);
}

static size_t normMatmulSwigluTasks(const OpCall& call, uint32_t threads) {
  return multiplyTasks(call[norm_matmul_swiglu::kX], call[norm_matmul_swiglu::kGate], threads);
}

static void normMatmulSwigluRun(const OpCall& call, Worker& worker) {
  const NormProducts<1> products = swigluProducts(call, worker.shared);
  worker.shared = products.made[0];  // where a product looks for it
  asMatmulSwiglu(call, products.norm, [&](const OpCall& part) { matmulSwigluRun(part, worker); });
}

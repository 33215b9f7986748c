// matmulSample: sample of the logits a · bᵀ. Phases: activations, product, rows. The logits lie in the op's memory:
//
//   shared    that of the product, then [R, V]

// Calls f with the call of sample that is a part of this op.
template <typename F>
QUIPU_INLINE auto asSample(const OpCall& call, std::byte* shared, F f) {
  static_assert(matmul_sample::kOutputRows == sample::kOutputRows + 1);
  static_assert(matmul_sample::kBestLogprobs == sample::kBestLogprobs + 1);
  const View &a = call[matmul_sample::kA], &b = call[matmul_sample::kB];
  constexpr uint32_t kCount = sample::kBestLogprobs + 1;
  View operands[kCount];
  operands[sample::kLogits] = {
      placeIn(shared, wholeLines(productSharedBytes(call))), DType::kF32, {a.dims[0], b.dims[0], 1, 1}, 0};
  for (uint32_t i = sample::kOutputRows; i < kCount; ++i) operands[i] = call[i + 1];
  return f(OpCall{operands, kCount, nullptr});
}

static size_t matmulSampleScratchBytes(const OpCall& call) {
  const size_t product = productScratchBytes(call), rows = asSample(call, nullptr, sampleScratchBytes);
  return product > rows ? product : rows;
}

static size_t matmulSampleSharedBytes(const OpCall& call) {
  const View &a = call[matmul_sample::kA], &b = call[matmul_sample::kB];
  return wholeLines(productSharedBytes(call)) + size_t(a.dims[0]) * b.dims[0] * sizeof(float);
}

static void headRun(const OpCall& call, Worker& worker) {
  asSample(call, worker.shared, [&](const OpCall& part) {
    static_assert(matmul::kOut == 2);
    const View operands[] = {call[matmul_sample::kA], call[matmul_sample::kB], part[sample::kLogits]};
    matmulRun({operands, 3, nullptr}, worker);
  });
}

static size_t matmulSampleTasks(const OpCall& call, uint32_t) { return call[matmul_sample::kA].dims[0]; }

static void matmulSampleRows(const OpCall& call, Worker& worker) {
  asSample(call, worker.shared, [&](const OpCall& part) { sampleRows(part, worker); });
}

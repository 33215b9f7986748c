// matmulPlain: out[t, k] = Σ_n a[t, n] · b[n, k], as matmul_chain.h has it: b's columns lie across the lanes as they
// are. The first phase packs a, and b where that is no more than a.

QUIPU_INLINE ChainShape plainShape(const OpCall& call) {
  const View &a = call[matmul_plain::kA], &b = call[matmul_plain::kB];
  return {a.dims[0], b.dims[1], b.dims[0], false, b.dims[1] <= a.dims[0]};
}

static size_t chainScratchBytes(const OpCall&) { return kChainScratchBytes; }

static size_t plainSharedBytes(const OpCall& call) { return plainShape(call).sharedBytes(); }

static size_t plainPackTasks(const OpCall& call, uint32_t) { return plainShape(call).packTasks(); }

static void plainPack(const OpCall& call, Worker& worker) {
  const float* a = call[matmul_plain::kA].as<float>();
  const ChainShape shape = plainShape(call);
  chainPack(shape, call[matmul_plain::kB].as<float>(), worker,
            [&](size_t first, size_t last, size_t begin, size_t count, float* to) {
              packRows(a, shape.depth, first, last, begin, count, to);
            });
}

static size_t plainTasks(const OpCall& call, uint32_t threads) { return plainShape(call).tasks(threads); }

static void plainRun(const OpCall& call, Worker& worker) {
  chainRun(plainShape(call), call[matmul_plain::kA].as<float>(), call[matmul_plain::kB].as<float>(),
           call[matmul_plain::kOut].as<float>(), false, worker);
}

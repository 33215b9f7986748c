// matmulOverRows: sum[n, k] += Σ_t a[t, n] · b[t, k], as matmul_chain.h has it, its k the rows t: a's columns are the
// rows of the result. The first phase packs both.

QUIPU_INLINE ChainShape overRowsShape(const OpCall& call) {
  const View &a = call[matmul_over_rows::kA], &b = call[matmul_over_rows::kB];
  return {a.dims[1], b.dims[1], a.dims[0], true, true};
}

static size_t overRowsSharedBytes(const OpCall& call) { return overRowsShape(call).sharedBytes(); }

static size_t overRowsPackTasks(const OpCall& call, uint32_t) { return overRowsShape(call).packTasks(); }

static void overRowsPack(const OpCall& call, Worker& worker) {
  const float* a = call[matmul_over_rows::kA].as<float>();
  const ChainShape shape = overRowsShape(call);
  chainPack(shape, call[matmul_over_rows::kB].as<float>(), worker,
            [&](size_t first, size_t last, size_t begin, size_t count, float* to) {
              packColumnsOf(a, shape.rows, first, last, begin, count, shape.depth, to);
            });
}

static size_t overRowsTasks(const OpCall& call, uint32_t threads) { return overRowsShape(call).tasks(threads); }

static void overRowsRun(const OpCall& call, Worker& worker) {
  chainRun(overRowsShape(call), call[matmul_over_rows::kA].as<float>(), call[matmul_over_rows::kB].as<float>(),
           call[matmul_over_rows::kSum].as<float>(), true, worker);
}

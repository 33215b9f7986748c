// matmulOverRows: sum[n, k] += Σ_t a[t, n] · b[t, k], in the order that matmul has over k, here over t
// (docs/numerics.md, sums over rows). On matmul's panels, with both sides transposed. 2 T N K flops: bound by
// arithmetic. The first phase packs a's columns; a task of the second is a run of b's columns.

static size_t overRowsSharedBytes(const OpCall& call) {
  return packedBytes(call[matmul_over_rows::kA].dims[1], call[matmul_over_rows::kA].dims[0]);
}

static size_t overRowsPackTasks(const OpCall& call, uint32_t) {
  return packTasks(call[matmul_over_rows::kA].dims[1], call[matmul_over_rows::kA].dims[0]);
}

static void overRowsPack(const OpCall& call, Worker& worker) {
  const View& a = call[matmul_over_rows::kA];
  const size_t depth = a.dims[0], width = a.dims[1];
  for (size_t task; worker.next(task);) {
    packTile(width, depth, task, reinterpret_cast<float*>(worker.shared),
             [&](size_t first, size_t last, size_t begin, float* to) {
               packTransposedColumns(a.as<float>(), width, first, last, begin, depth, to);
             });
  }
}

static size_t overRowsTasks(const OpCall& call, uint32_t threads) {
  return panelShares(call[matmul_over_rows::kB].dims[1], threads).tasks();
}

static void overRowsRun(const OpCall& call, Worker& worker) {
  const View& b = call[matmul_over_rows::kB];
  const size_t depth = b.dims[0], width = b.dims[1], columns = call[matmul_over_rows::kA].dims[1];
  const Shares shares = panelShares(width, worker.threads);
  for (size_t task; worker.next(task);) {
    const Share share = shares.at(task);
    const auto pack = [&](size_t column, size_t begin, float* to) {
      packTransposedPanel(b.as<float>(), width, column, width, begin, depth, to);
    };
    panelRows(reinterpret_cast<const float*>(worker.shared), columns, depth, pack, share.first, share.last,
              reinterpret_cast<float*>(worker.scratch), call[matmul_over_rows::kSum].as<float>() + share.first, width,
              true, asTheyAre);
  }
}

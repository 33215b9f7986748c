// matmulPlain: out[t, k] = Σ_n a[t, n] · b[n, k], in the order that matmul has for a row of b that were (b[0, k], b[1,
// k], …). On matmul's panels, whatever the number of rows: b's columns lie across the lanes as they are. 2 T N K flops:
// bound by arithmetic. The first phase packs a, as matmul's does; a task of the second is a run of b's columns.

static size_t plainScratchBytes(const OpCall&) { return kPanelScratchBytes; }

static size_t plainSharedBytes(const OpCall& call) {
  return packedBytes(call[matmul_plain::kA].dims[0], call[matmul_plain::kA].dims[1]);
}

static size_t plainPackTasks(const OpCall& call, uint32_t) {
  return packTasks(call[matmul_plain::kA].dims[0], call[matmul_plain::kA].dims[1]);
}

static void plainPack(const OpCall& call, Worker& worker) {
  const View& a = call[matmul_plain::kA];
  for (size_t task; worker.next(task);) {
    packActivations(a.as<float>(), a.dims[0], a.dims[1], task, reinterpret_cast<float*>(worker.shared));
  }
}

static size_t plainTasks(const OpCall& call, uint32_t threads) {
  return panelShares(call[matmul_plain::kB].dims[1], threads).tasks();
}

static void plainRun(const OpCall& call, Worker& worker) {
  const View &a = call[matmul_plain::kA], &b = call[matmul_plain::kB];
  const size_t depth = b.dims[0], width = b.dims[1];
  const Shares shares = panelShares(width, worker.threads);
  for (size_t task; worker.next(task);) {
    const Share share = shares.at(task);
    const auto pack = [&](size_t column, size_t begin, float* to) {
      packTransposedPanel(b.as<float>(), width, column, width, begin, depth, to);
    };
    panelRows(reinterpret_cast<const float*>(worker.shared), a.dims[0], depth, pack, share.first, share.last,
              reinterpret_cast<float*>(worker.scratch), call[matmul_plain::kOut].as<float>() + share.first, width,
              false, asTheyAre);
  }
}

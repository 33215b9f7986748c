// norMuon: a step of NorMuon (arXiv:2510.05491) by an orthogonal update. Its rows' squares are first, then by all of
// them the variances and what each row is multiplied by, one after another, then the step. Moves 16 bytes an element:
// bound by memory. A task is some rows; their squares, and then their factors, stay in shared.

// Elements of a task, about.
static constexpr size_t kMuonRun = 8192;

static size_t norMuonRowsOfTask(const OpCall& call) {
  const size_t columns = call[nor_muon::kParameter].dims[1];
  return columns < kMuonRun ? kMuonRun / columns : 1;
}

static size_t norMuonSharedBytes(const OpCall& call) {
  return size_t(call[nor_muon::kParameter].dims[0]) * sizeof(float);
}

// A factor of 0 says that no step is made.
static size_t norMuonTasks(const OpCall& call, uint32_t) {
  if (*call[nor_muon::kFactor].as<float>() == 0.0f) return 0;
  const size_t rows = norMuonRowsOfTask(call);
  return (call[nor_muon::kParameter].dims[0] + rows - 1) / rows;
}

static size_t norMuonFactorTasks(const OpCall& call, uint32_t) {
  return *call[nor_muon::kFactor].as<float>() == 0.0f ? 0 : 1;
}

static void norMuonSquares(const OpCall& call, Worker& worker) {
  const View& update = call[nor_muon::kUpdate];
  const size_t columns = update.dims[1], count = norMuonRowsOfTask(call);
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * count, update.dims[0]);
    for (size_t row = task * count; row < end; ++row) {
      double total = 0;
      for (size_t block = 0; block < squareBlocksOf(columns); ++block) {
        total += double(squaresOfBlock(update.as<float>() + row * columns, columns, block));
      }
      reinterpret_cast<float*>(worker.shared)[row] = float(total);
    }
  }
}

static void norMuonFactors(const OpCall& call, Worker& worker) {
  const size_t rows = call[nor_muon::kParameter].dims[0], columns = call[nor_muon::kParameter].dims[1];
  const float* settings = call[nor_muon::kSettings].as<float>();
  float *rowValues = reinterpret_cast<float*>(worker.shared), *variance = call[nor_muon::kVariance].as<float>();
  for (size_t task; worker.next(task);) {
    double before = 0, after = 0;
    for (size_t row = 0; row < rows; ++row) {
      const float mean = rowValues[row] / float(columns);
      const float now = __builtin_fmaf(settings[nor_muon::kBeta], variance[row], settings[nor_muon::kGain] * mean);
      variance[row] = now < kLeastMoment ? 0.0f : now;
      const float inverse = 1.0f / (__builtin_sqrtf(variance[row]) + settings[nor_muon::kEpsilon]);
      before += double(rowValues[row]);
      after += double(rowValues[row]) * double(inverse) * double(inverse);
      rowValues[row] = inverse;
    }
    const double tall = rows > columns ? double(rows) / double(columns) : 1.0;
    const double norm = after > 0 ? __builtin_sqrt(before / after * tall) : 0.0;
    const float whole = float(norm * double(settings[nor_muon::kRate]));
    for (size_t row = 0; row < rows; ++row) rowValues[row] *= whole;
  }
}

static void norMuonStep(const OpCall& call, Worker& worker) {
  const View& view = call[nor_muon::kParameter];
  const size_t columns = view.dims[1], count = norMuonRowsOfTask(call);
  const float *update = call[nor_muon::kUpdate].as<float>(), *factors = reinterpret_cast<float*>(worker.shared);
  const f32x16 keep = broadcast(call[nor_muon::kSettings].as<float>()[nor_muon::kKeep]);
  for (size_t task; worker.next(task);) {
    const size_t end = atMost((task + 1) * count, view.dims[0]);
    for (size_t row = task * count; row < end; ++row) {
      float* parameter = view.as<float>() + row * columns;
      const f32x16 scale = broadcast(-factors[row]);
      for (size_t i = 0; i < columns; i += 16) {
        const size_t n = atMost(columns - i, 16);
        const f32x16 w = loadFirst(parameter + i, n), u = loadFirst(update + row * columns + i, n);
        const f32x16 kept = select(less(zero(), mul(u, w)), mul(w, keep), w);
        storeFirst(parameter + i, fma(scale, u, kept), n);
      }
    }
  }
}

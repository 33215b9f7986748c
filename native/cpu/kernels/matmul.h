// matmul: out[t, n] = Σ_k a[t, k] · b[n, k], in the order of docs/numerics.md whichever form computes it: a row's
// result does not depend on the rows beside it. An op that does more with its sums calls multiplyRows too.

// Rows of activations up to which a form is the fastest (Zen 5, one thread, SmolLM2's shapes and 8192 × 2048, bf16;
// docs/benchmarks.md). From two rows on tiles are 1.2 to 2 times as fast as the dot form; one row reads the same bytes
// either way, and four streams a thread are the form that was measured on more machines. Panels are level with tiles at
// 32 rows on AVX2, and at 80 on AVX-512, where they were a tenth slower at 64.
static constexpr size_t kDotLimit = kHasTiles ? 1 : SIZE_MAX;
static constexpr size_t kTileLimit = kWideRegisters >= 32 ? 64 : 32;

enum class Form { kDot, kTiles, kPanels, kScaled, kQ4 };

QUIPU_INLINE Form formOf(size_t rows, const View& b) {
  if (b.dtype == DType::kQ4) return Form::kQ4;
  if (isScaled(b.dtype)) return Form::kScaled;
  if (rows <= kDotLimit) return Form::kDot;
  return rows <= kTileLimit ? Form::kTiles : Form::kPanels;
}

QUIPU_INLINE Form formOf(const View& a, const View& b) { return formOf(a.dims[0], b); }

QUIPU_INLINE bool usesPanels(const View& a, const View& b) { return formOf(a, b) == Form::kPanels; }

// Of b, for so many rows of activations.
QUIPU_INLINE Shares multiplyShares(size_t rows, const View& b, uint32_t threads) {
  const Form form = formOf(rows, b);
  if (isPacked(b.dtype)) return packedShares(rows, b, threads);
  if (form == Form::kPanels) return panelShares(b.dims[0], threads);
  const auto rowBytes = static_cast<size_t>(bytesOf(b.dtype, 1, b.dims[1]));
  return form == Form::kDot ? dotShares(b.dims[0], rowBytes, threads) : tileShares(b.dims[0], rowBytes, threads);
}

static size_t multiplyTasks(const View& a, const View& b, uint32_t threads) {
  return multiplyShares(a.dims[0], b, threads).tasks();
}

// What panels and codes want done first, in a phase of its own: the activations packed, or made codes.
static size_t multiplyPackTasks(const View& a, const View& b) {
  if (isPacked(b.dtype)) return a.dims[0];
  return usesPanels(a, b) ? packTasks(a.dims[0], a.dims[1]) : 0;
}

// One of those tasks.
static void multiplyPackTask(const View& a, const View& b, size_t task, std::byte* shared) {
  const size_t rows = a.dims[0], depth = a.dims[1];
  const float* from = a.as<float>();
  if (b.dtype == DType::kQ4) {
    q4Activations(from + task * depth, depth, task, Q4Rows(shared, rows, depth));
  } else if (b.dtype == DType::kQ6) {
    q8Activations<DType::kQ6>(from + task * depth, depth, task, Q8Rows(shared, rows, depth));
  } else if (b.dtype == DType::kQ8) {
    q8Activations<DType::kQ8>(from + task * depth, depth, task, Q8Rows(shared, rows, depth));
  } else {
    packActivations(from, rows, depth, task, reinterpret_cast<float*>(shared));
  }
}

static void multiplyPack(const View& a, const View& b, Worker& worker) {
  for (size_t task; worker.next(task);) multiplyPackTask(a, b, task, worker.shared);
}

// A multiple of 64 bytes, so that a caller's own scratch may follow. Neither is more for fewer rows.
static size_t multiplyScratchBytes(const View& a, const View& b) {
  if (b.dtype == DType::kQ4) return q4ScratchBytes(a.dims[0]);
  if (isScaled(b.dtype)) return scaledScratchBytes(a.dims[0], b.dtype);
  return usesPanels(a, b) ? kPanelScratchBytes : 0;
}

static size_t multiplySharedBytes(const View& a, const View& b) {
  if (b.dtype == DType::kQ4) return Q4Rows::bytes(a.dims[0], a.dims[1]);
  if (isScaled(b.dtype)) return Q8Rows::bytes(a.dims[0], a.dims[1]);
  return usesPanels(a, b) ? packedBytes(a.dims[0], a.dims[1]) : 0;
}

// Weight rows [first, last) of b, those of one task, against all rows of a: sums[t · pitch + n − first]. Calls
// finish(first t, end, first n, end) for every part of them, once, when its sums are whole.
template <typename Finish>
QUIPU_INLINE void multiplyRows(const View& a, const View& b, size_t first, size_t last, float* sums, size_t pitch,
                               Worker& worker, Finish finish) {
  const size_t columns = a.dims[0], depth = a.dims[1];
  if (b.dtype == DType::kQ4) {
    q4Rows(Q4Rows(worker.shared, columns, depth), columns, b, first, last, worker.scratch, sums, pitch);
    return finish(size_t{0}, columns, first, last);
  }
  if (isScaled(b.dtype)) {
    scaledRows(Q8Rows(worker.shared, columns, depth), columns, b, first, last, worker.scratch, sums, pitch);
    return finish(size_t{0}, columns, first, last);
  }
  withElements(b, [&](auto weights) {
    if constexpr (kHasPanels) {
      if (usesPanels(a, b)) {
        const auto pack = [&](size_t row, size_t begin, float* to) {
          packPanel(weights, row, b.dims[0], begin, depth, to);
        };
        return panelRows(reinterpret_cast<const float*>(worker.shared), columns, depth, pack, first, last,
                         reinterpret_cast<float*>(worker.scratch), sums, pitch, finish);
      }
    }
    if constexpr (kHasTiles) {
      if (formOf(a, b) == Form::kTiles) {
        tileRows(a.as<float>(), columns, depth, weights, first, last, sums, pitch);
        return finish(size_t{0}, columns, first, last);
      }
    }
    dotRows(a.as<float>(), columns, depth, {DotRun{weights + first * depth, sums}}, last - first, pitch);
    finish(size_t{0}, columns, first, last);
  });
}

// A finish for sums that nothing more is done with.
static constexpr auto asTheyAre = [](size_t, size_t, size_t, size_t) {};

// Takes tasks and calls rows(first, last) with the weight rows of each.
template <typename Rows>
QUIPU_INLINE void eachTaskRows(const View& a, const View& b, Worker& worker, Rows rows) {
  const Shares shares = multiplyShares(a.dims[0], b, worker.threads);
  for (size_t task; worker.next(task);) {
    const Share share = shares.at(task);
    rows(share.first, share.last);
  }
}

// --- ops that begin with a product: of their first operand by their second ------------------------------------------

static_assert(matmul::kA == 0 && matmul::kB == 1 && matmul_add::kA == 0 && matmul_add::kB == 1);
static_assert(matmul_swiglu::kA == 0 && matmul_swiglu::kGate == 1 && matmul_sample::kA == 0 && matmul_sample::kB == 1);

static size_t productScratchBytes(const OpCall& call) { return multiplyScratchBytes(call[0], call[1]); }
static size_t productSharedBytes(const OpCall& call) { return multiplySharedBytes(call[0], call[1]); }

static size_t productPackTasks(const OpCall& call, uint32_t) { return multiplyPackTasks(call[0], call[1]); }
static void productPack(const OpCall& call, Worker& worker) { multiplyPack(call[0], call[1], worker); }

static size_t productTasks(const OpCall& call, uint32_t threads) { return multiplyTasks(call[0], call[1], threads); }

static void matmulRun(const OpCall& call, Worker& worker) {
  const View &a = call[matmul::kA], &b = call[matmul::kB];
  float* out = call[matmul::kOut].as<float>();
  eachTaskRows(a, b, worker, [&](size_t first, size_t last) {
    multiplyRows(a, b, first, last, out + first, b.dims[0], worker, asTheyAre);
  });
}

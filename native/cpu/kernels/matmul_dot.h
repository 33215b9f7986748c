// matmul for few rows of activations (a decode step, a few sequences, drafted tokens): weights are read once from where
// they lie, k across the lanes. Moves the weights, N K · bytesOf(b); 2 T N K flops: bound by memory.
//
// A task is some groups of 16 weight rows. In a block of k (docs/numerics.md) the rows of a group are visited kDotRows
// at a time, all activation rows against them; their lanes go to `lanes`, which is then halved for 16 rows at once.

static constexpr size_t kBlock = 1024;   // of k, see docs/numerics.md
static constexpr size_t kDotGroup = 16;  // weight rows
static constexpr size_t kDotTaskBytes = 1 << 16;
static constexpr int kDotRows = 4;
static constexpr int kDotColumns = kWideRegisters >= 32 ? 4 : 1;  // activation rows against kDotRows at a time

// lanes[c · 16 + r] = the lanes of weight row r and activation row c over [begin, end). `ahead` elements after a row
// lies what is visited next.
template <typename E, int kRows, int kColumns>
QUIPU_INLINE void dotTile(const float* a, size_t pitch, const E* const* rows, size_t begin, size_t end, ptrdiff_t ahead,
                          f32x16* lanes) {
  constexpr size_t kStep = 64 / sizeof(E);  // a cache line of weights
  f32x16 tile[kRows][kColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) tile[r][c] = zero();
  }
  size_t k = begin;
  for (; k + kStep <= end; k += kStep) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) __builtin_prefetch(rows[r] + ptrdiff_t(k) + ahead, 0, 3);
#pragma GCC unroll 2
    for (size_t i = 0; i < kStep; i += 16) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const f32x16 weight = loadWide(rows[r] + k + i);
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) tile[r][c] = fma(load(a + c * pitch + k + i), weight, tile[r][c]);
      }
    }
  }
  for (; k < end; k += 16) {
    const size_t n = end - k < 16 ? end - k : 16;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const f32x16 weight = loadWidePart(rows[r] + k, n);
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) tile[r][c] = fma(loadPart(a + c * pitch + k, n), weight, tile[r][c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) lanes[c * kDotGroup + r] = tile[r][c];
  }
}

// Up to 16 weight rows from `firstRow` against all rows of a.
template <typename E>
static void dotGroup(const float* a, size_t columns, const E* b, size_t firstRow, size_t rowCount, size_t depth,
                     float* out, f32x16* lanes) {
  const E* rows[kDotGroup];
  const size_t valid = rowCount - firstRow < kDotGroup ? rowCount - firstRow : kDotGroup;
  // Rows past the end repeat the last one; their results are not stored.
  for (size_t r = 0; r < kDotGroup; ++r) rows[r] = b + (firstRow + (r < valid ? r : valid - 1)) * depth;
  for (size_t begin = 0; begin < depth; begin += kBlock) {
    const size_t end = begin + kBlock < depth ? begin + kBlock : depth;
    for (size_t r = 0; r < kDotGroup; r += kDotRows) {
      const ptrdiff_t ahead = r + kDotRows < kDotGroup ? ptrdiff_t(kDotRows * depth)
                              : end < depth            ? ptrdiff_t(kBlock) - ptrdiff_t(r * depth)
                                                       : ptrdiff_t(kDotRows * depth) - ptrdiff_t(begin);
      size_t c = 0;
      for (; c + kDotColumns <= columns; c += kDotColumns) {
        dotTile<E, kDotRows, kDotColumns>(a + c * depth, depth, rows + r, begin, end, ahead, lanes + c * kDotGroup + r);
      }
      for (; c < columns; ++c) {
        dotTile<E, kDotRows, 1>(a + c * depth, depth, rows + r, begin, end, ahead, lanes + c * kDotGroup + r);
      }
    }
    for (size_t c = 0; c < columns; ++c) {
      f32x16 group[kDotGroup];
      for (size_t r = 0; r < kDotGroup; ++r) group[r] = lanes[c * kDotGroup + r];
      f32x16 sums = sumRows(group);
      float* to = out + c * rowCount + firstRow;
      if (begin > 0) sums = add(loadPart(to, valid), sums);
      storePart(to, sums, valid);
    }
  }
}

template <typename E>
QUIPU_INLINE void matmulDot(const OpCall& call, const E* b, Worker& worker) {
  const View &a = call[matmul::kA], &out = call[matmul::kOut];
  const size_t columns = a.dims[0], depth = a.dims[1], rowCount = out.dims[1];
  const size_t groups = (rowCount + kDotGroup - 1) / kDotGroup, groupBytes = kDotGroup * depth * sizeof(E);
  const size_t perTask = groupBytes < kDotTaskBytes ? kDotTaskBytes / groupBytes : 1;
  const size_t tasks = (groups + perTask - 1) / perTask;
  f32x16* lanes = reinterpret_cast<f32x16*>(worker.scratch);
  for (size_t task = worker.next(tasks); task < tasks; task = worker.next(tasks)) {
    const size_t end = (task + 1) * perTask < groups ? (task + 1) * perTask : groups;
    for (size_t group = task * perTask; group < end; ++group) {
      dotGroup(a.as<float>(), columns, b, group * kDotGroup, rowCount, depth, out.as<float>(), lanes);
    }
  }
}

static size_t dotScratchBytes(const OpCall& call) { return call[matmul::kA].dims[0] * kDotGroup * sizeof(f32x16); }

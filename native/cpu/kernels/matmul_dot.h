// matmul for few rows of activations (a decode step, a few sequences, drafted tokens): weights are read once from where
// they lie, k across the lanes. Moves the weights, N K · bytesOf(b); 2 T N K flops: bound by memory.
//
// A task is a run of weight rows, read as kDotStreams streams side by side, each a quarter of the run from its first
// byte to its last: four streams that stay in order are read at the memory's bandwidth, four neighbouring rows, which
// jump after every row, at half to two thirds of it (docs/decisions/0002).

static constexpr size_t kBlock = 1024;  // of k, see docs/numerics.md
static constexpr size_t kDotTaskBytes = 1 << 16;
static constexpr size_t kDotStreams = 4;
static constexpr size_t kDotAhead = 512;  // bytes; the hardware's own prefetch stops at every page

// Rows b, b + stride, … against kColumns rows of a; the results go to out[column · pitch + row · rowStride].
template <typename E, int kRows, int kColumns>
QUIPU_INLINE void dotTile(const float* a, size_t depth, const E* b, size_t stride, float* out, size_t pitch,
                          size_t rowStride) {
  constexpr size_t kStep = 64 / sizeof(E);  // a cache line of weights
  float sums[kRows][kColumns] = {};
  for (size_t begin = 0; begin < depth; begin += kBlock) {
    const size_t end = begin + kBlock < depth ? begin + kBlock : depth;
    f32x16 tile[kRows][kColumns];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) tile[r][c] = zero();
    }
    size_t k = begin;
    for (; k + kStep <= end; k += kStep) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) __builtin_prefetch(b + r * stride + k + kDotAhead / sizeof(E), 0, 3);
#pragma GCC unroll 2
      for (size_t i = 0; i < kStep; i += 16) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const f32x16 weight = loadWide(b + r * stride + k + i);
#pragma GCC unroll 8
          for (int c = 0; c < kColumns; ++c) tile[r][c] = fma(load(a + c * depth + k + i), weight, tile[r][c]);
        }
      }
    }
    for (; k < end; k += 16) {
      const size_t n = end - k < 16 ? end - k : 16;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const f32x16 weight = loadWidePart(b + r * stride + k, n);
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) tile[r][c] = fma(loadPart(a + c * depth + k, n), weight, tile[r][c]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) {
        const float blockSum = sum(tile[r][c]);
        sums[r][c] = begin == 0 ? blockSum : sums[r][c] + blockSum;
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) out[c * pitch + r * rowStride] = sums[r][c];
  }
}

// The streams' current rows, `part` rows apart, kRows at a time against kColumns rows of a.
template <typename E, int kRows, int kColumns>
QUIPU_INLINE void dotStreams(const float* a, size_t depth, const E* b, size_t part, float* out, size_t pitch) {
  for (size_t r = 0; r < kDotStreams; r += kRows) {
    dotTile<E, kRows, kColumns>(a, depth, b + r * part * depth, part * depth, out + r * part, pitch, part);
  }
}

// The same against all rows of a. A tile fills the registers: 4 × 1, 2 × 2 or 2 × 3, on AVX-512 also 4 × 4.
template <typename E>
QUIPU_INLINE void dotStreams(const float* a, size_t columns, size_t depth, const E* b, size_t part, float* out,
                             size_t pitch) {
  for (size_t c = 0; c < columns;) {
    const float* from = a + c * depth;
    float* to = out + c * pitch;
    const size_t left = columns - c;
    if (kWideRegisters >= 32 && left >= 4) {
      dotStreams<E, 4, 4>(from, depth, b, part, to, pitch);
      c += 4;
    } else if (left == 1) {
      dotStreams<E, 4, 1>(from, depth, b, part, to, pitch);
      c += 1;
    } else if (left == 2 || left == 4) {
      dotStreams<E, 2, 2>(from, depth, b, part, to, pitch);
      c += 2;
    } else {
      dotStreams<E, 2, 3>(from, depth, b, part, to, pitch);
      c += 3;
    }
  }
}

// Weight rows of a task.
QUIPU_INLINE size_t dotTaskRows(size_t rowBytes) {
  return rowBytes * kDotStreams < kDotTaskBytes ? kDotTaskBytes / rowBytes / kDotStreams * kDotStreams : kDotStreams;
}

// Weight rows [first, last) of b against all `columns` rows of a: sums[column · pitch + row − first].
template <typename E>
static void dotRows(const float* a, size_t columns, size_t depth, const E* b, size_t first, size_t last, float* sums,
                    size_t pitch) {
  const size_t count = last - first, part = count / kDotStreams;
  const E* weights = b + first * depth;
  for (size_t r = 0; r < part; ++r) dotStreams(a, columns, depth, weights + r * depth, part, sums + r, pitch);
  for (size_t r = part * kDotStreams; r < count; ++r) {
    for (size_t c = 0; c < columns; ++c) {
      dotTile<E, 1, 1>(a + c * depth, depth, weights + r * depth, 0, sums + c * pitch + r, pitch, 0);
    }
  }
}

// matmul for few rows of activations (a decode step, a few sequences, drafted tokens): weights are read once from where
// they lie, k across the lanes. Moves the weights, bytesOf(b); 2 T N K flops: bound by memory.
//
// A task is a run of weight rows, read as kDotStreams streams side by side, each a quarter of the run from its first
// byte to its last: four streams that stay in order are read at the memory's bandwidth, four neighbouring rows, which
// jump after every row, at half to two thirds of it (docs/decisions/0002).

static constexpr size_t kBlock = 1024;  // of k, see docs/numerics.md
static constexpr size_t kDotTaskBytes = 1 << 21, kDotLastTaskBytes = 1 << 16;
static constexpr size_t kDotStreams = 4;
// Bytes; the hardware's own prefetch stops at every page. With 512 one thread takes a fifth to a quarter longer, two a
// tenth; 1536 to 3072 are within 3 % of it, 4096 up to a tenth slower (Zen 5, bf16, AVX2 and AVX-512).
static constexpr size_t kDotAhead = 2048;

// Rows b[0], b[1], … against kColumns rows of a; the results of b[r] go to sums[r][column · pitch].
template <typename E, int kRows, int kColumns>
QUIPU_INLINE void dotTile(const float* a, size_t depth, const E* const* b, float* const* sums, size_t pitch) {
  constexpr size_t kStep = 64 / sizeof(E);  // a cache line of weights
  float totals[kRows][kColumns] = {};
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
      for (int r = 0; r < kRows; ++r) __builtin_prefetch(b[r] + k + kDotAhead / sizeof(E), 0, 3);
#pragma GCC unroll 2
      for (size_t i = 0; i < kStep; i += 16) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const f32x16 weight = loadWide(b[r] + k + i);
#pragma GCC unroll 8
          for (int c = 0; c < kColumns; ++c) tile[r][c] = fma(load(a + c * depth + k + i), weight, tile[r][c]);
        }
      }
    }
    for (; k < end; k += 16) {
      const size_t n = end - k < 16 ? end - k : 16;
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const f32x16 weight = loadWidePart(b[r] + k, n);
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) tile[r][c] = fma(loadPart(a + c * depth + k, n), weight, tile[r][c]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) {
        const float blockSum = sum(tile[r][c]);
        totals[r][c] = begin == 0 ? blockSum : totals[r][c] + blockSum;
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int c = 0; c < kColumns; ++c) sums[r][c * pitch] = totals[r][c];
  }
}

// The rows that the streams are at, and where their results go.
template <typename E>
struct DotStreams {
  const E* b[kDotStreams];
  float* sums[kDotStreams];
};

// kRows streams at a time against kColumns rows of a, from column c on.
template <typename E, int kRows, int kColumns>
QUIPU_INLINE void dotColumns(const float* a, size_t c, size_t depth, const DotStreams<E>& at, size_t pitch) {
  for (size_t r = 0; r < kDotStreams; r += kRows) {
    float* sums[kRows];
    for (int i = 0; i < kRows; ++i) sums[i] = at.sums[r + i] + c * pitch;
    dotTile<E, kRows, kColumns>(a + c * depth, depth, at.b + r, sums, pitch);
  }
}

// The same against all rows of a. A tile fills the registers: 4 × 1, 2 × 2 or 2 × 3, on AVX-512 also 4 × 4.
template <typename E>
QUIPU_INLINE void dotStreams(const float* a, size_t columns, size_t depth, const DotStreams<E>& at, size_t pitch) {
  for (size_t c = 0; c < columns;) {
    const size_t left = columns - c;
    if (kWideRegisters >= 32 && left >= 4) {
      dotColumns<E, 4, 4>(a, c, depth, at, pitch);
      c += 4;
    } else if (left == 1) {
      dotColumns<E, 4, 1>(a, c, depth, at, pitch);
      c += 1;
    } else if (left == 2 || left == 4) {
      dotColumns<E, 2, 2>(a, c, depth, at, pitch);
      c += 2;
    } else {
      dotColumns<E, 2, 3>(a, c, depth, at, pitch);
      c += 3;
    }
  }
}

QUIPU_INLINE Shares dotShares(size_t rowCount, size_t rowBytes, uint32_t threads) {
  return sharesOf(rowCount, kDotStreams, kDotStreams * rowBytes, kDotLastTaskBytes, kDotTaskBytes, threads);
}

// A run of weight rows that lie one after another, and where their results go: sums[column · pitch + row].
template <typename E>
struct DotRun {
  const E* b;
  float* sums;
};

// `count` rows of each of kRuns runs against all rows of a. Together they are kDotStreams streams.
template <typename E, size_t kRuns>
static void dotRows(const float* a, size_t columns, size_t depth, const DotRun<E> (&runs)[kRuns], size_t count,
                    size_t pitch) {
  constexpr size_t kParts = kDotStreams / kRuns;
  const size_t part = count / kParts;
  for (size_t row = 0; row < part; ++row) {
    DotStreams<E> at;
    for (size_t i = 0; i < kDotStreams; ++i) {
      const DotRun<E>& run = runs[i / kParts];
      const size_t current = row + i % kParts * part;
      at.b[i] = run.b + current * depth;
      at.sums[i] = run.sums + current;
    }
    dotStreams(a, columns, depth, at, pitch);
  }
  for (size_t row = part * kParts; row < count; ++row) {
    for (const DotRun<E>& run : runs) {
      const E* b = run.b + row * depth;
      for (size_t c = 0; c < columns; ++c) {
        float* sums = run.sums + c * pitch + row;
        dotTile<E, 1, 1>(a + c * depth, depth, &b, &sums, pitch);
      }
    }
  }
}

// matmul for some rows of activations (sequences that decode in one step, drafted tokens): k across the lanes, register
// tiles of kTileRows weight rows × up to kTileColumns activation rows. Moves the weights once, bytesOf(b); 2 T N
// K flops: bound by memory up to three or four rows, then by arithmetic.
//
// Sixteen weight rows at a time, a strip, over one block of k: all columns, a tile at a time, from L1 or L2, while the
// next strip is fetched. (The dot form fetches what it multiplies with its first columns, and nothing while it does the
// others: 8 rows ran at 45 % of the FMA peak, here at 55 to 75.) The lanes of sixteen rows are halved together; one by
// one that is a fifth of the time at k = 576.

static constexpr bool kHasTiles = kWideRegisters >= 8;
// 12 or 24 registers of sums. On AVX2 one row × 6 is 63 to 70 % of the peak where 2 × 3 is 45 to 52: it widens a weight
// for six columns, and spills nothing. On AVX-512 4 × 6 is up to a fifth faster than 4 × 4, 2 × 8 half as fast.
static constexpr size_t kTileRows = kWideRegisters >= 32 ? 4 : 1;
static constexpr size_t kTileColumns = 6;
static constexpr size_t kStripRows = 16;
static constexpr size_t kTileTaskBytes = 1 << 20, kTileLastTaskBytes = 1 << 16;
// The longest strip that is fetched as a whole, so that its parts may be of any length; of longer ones the next block.
static constexpr size_t kFetchedStrip = 1 << 17;

// kRows weight rows from b on against kColumns rows of a over `length` features of one block: lanes[column][row]. With
// every line of weights a line of each row is fetched that comes `aheadStep` bytes after the one before.
template <typename E, size_t kRows, size_t kColumns>
static void tileOfLanes(const float* a, const E* b, size_t depth, size_t length, const std::byte* ahead,
                        size_t aheadStep, f32x16 (*lanes)[kStripRows]) {
  constexpr size_t kStep = 64 / sizeof(E);  // a cache line of weights
  f32x16 tile[kRows][kColumns];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kColumns; ++c) tile[r][c] = zero();
  }
  size_t k = 0;
  for (; k + kStep <= length; k += kStep) {
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) __builtin_prefetch(ahead + r * depth * sizeof(E), 0, 3);
    ahead += aheadStep;
#pragma GCC unroll 4
    for (size_t i = 0; i < kStep; i += 16) {
      f32x16 weights[kRows];
#pragma GCC unroll 8
      for (size_t r = 0; r < kRows; ++r) weights[r] = loadWide(b + r * depth + k + i);
#pragma GCC unroll 8
      for (size_t c = 0; c < kColumns; ++c) {
        const f32x16 x = load(a + c * depth + k + i);
#pragma GCC unroll 8
        for (size_t r = 0; r < kRows; ++r) tile[r][c] = fma(x, weights[r], tile[r][c]);
      }
    }
  }
  for (; k < length; k += 16) {
    const size_t n = length - k < 16 ? length - k : 16;
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      const f32x16 weights = loadWidePart(b + r * depth + k, n);
#pragma GCC unroll 8
      for (size_t c = 0; c < kColumns; ++c) tile[r][c] = fma(loadPart(a + c * depth + k, n), weights, tile[r][c]);
    }
  }
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kColumns; ++c) lanes[c][r] = tile[r][c];
  }
}

template <typename E>
using LaneTile = void (*)(const float*, const E*, size_t, size_t, const std::byte*, size_t, f32x16 (*)[kStripRows]);

template <typename E>
struct LaneTiles {
  LaneTile<E> ofWidth[kTileColumns + 1] = {};     // kTileRows rows
  LaneTile<E> rowOfWidth[kTileColumns + 1] = {};  // one
  constexpr LaneTiles() { fill<kTileColumns>(); }

 private:
  template <size_t kColumns>
  constexpr void fill() {
    ofWidth[kColumns] = tileOfLanes<E, kTileRows, kColumns>;
    rowOfWidth[kColumns] = tileOfLanes<E, 1, kColumns>;
    if constexpr (kColumns > 1) fill<kColumns - 1>();
  }
};

// A strip, or what is left of one, over one block of k against all columns; the sums of the block are stored to or
// added to out[column · pitch + row]. `ahead` is what is fetched, in the strip's own shape.
template <typename E>
static void multiplyStrip(const float* a, size_t columns, size_t depth, const E* b, size_t rows, size_t length,
                          const E* ahead, float* out, size_t pitch, bool first) {
  static constexpr LaneTiles<E> kTiles;
  const size_t groups = (columns + kTileColumns - 1) / kTileColumns, part = length * sizeof(E) / groups;
  const size_t step = rows < kTileRows ? 1 : kTileRows;
  f32x16 lanes[kTileColumns][kStripRows];
  for (size_t r = rows; r < kStripRows; ++r) {
    for (size_t c = 0; c < kTileColumns; ++c) lanes[c][r] = zero();
  }
  for (size_t group = 0; group < groups; ++group) {
    const size_t column = group * columns / groups, width = (group + 1) * columns / groups - column;
    const LaneTile<E> tile = step == 1 ? kTiles.rowOfWidth[width] : kTiles.ofWidth[width];
    for (size_t r = 0; r < rows; r += step) {
      const size_t row = r + step <= rows ? r : rows - step;  // the last may compute some a second time
      const std::byte* fetched = reinterpret_cast<const std::byte*>(ahead + row * depth) + group * part;
      tile(a + column * depth, b + row * depth, depth, length, fetched, 64 / groups,
           reinterpret_cast<f32x16(*)[kStripRows]>(&lanes[0][row]));
    }
    for (size_t c = 0; c < width; ++c) {
      float* to = out + (column + c) * pitch;
      const f32x16 blockSums = sums(lanes[c]);
      if (rows == kStripRows) {
        store(to, first ? blockSums : add(load(to), blockSums));
      } else {
        storePart(to, first ? blockSums : add(loadPart(to, rows), blockSums), rows);
      }
    }
  }
}

QUIPU_INLINE Shares tileShares(size_t rowCount, size_t rowBytes, uint32_t threads) {
  return sharesOf(rowCount, kStripRows, kStripRows * rowBytes, kTileLastTaskBytes, kTileTaskBytes, threads);
}

// Weight rows [first, last) of b against all `columns` rows of a: out[column · pitch + row − first].
template <typename E>
static void tileRows(const float* a, size_t columns, size_t depth, const E* b, size_t first, size_t last, float* out,
                     size_t pitch) {
  const bool wholeStrips = kStripRows * depth * sizeof(E) <= kFetchedStrip;
  for (size_t row = first; row < last; row += kStripRows) {
    const size_t rows = last - row < kStripRows ? last - row : kStripRows;
    for (size_t begin = 0; begin < depth; begin += kBlock) {
      const size_t length = depth - begin < kBlock ? depth - begin : kBlock;
      const E *block = b + row * depth + begin, *ahead = block + kBlock;
      if (wholeStrips) ahead = block + kStripRows * depth;
      if (!wholeStrips && begin + length == depth) ahead = b + (row + kStripRows) * depth;
      multiplyStrip(a + begin, columns, depth, block, rows, length, ahead, out + row - first, pitch, begin == 0);
    }
  }
}

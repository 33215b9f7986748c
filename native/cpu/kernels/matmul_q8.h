// matmul by weights of q8 and q6: activations are codes too, so that products are of whole numbers, and rows of weights
// lie across the lanes. Moves the weights once, 34 or 26 bytes for 32 of them; bound by memory for few rows of
// activations, by the multipliers for many.
//
//   shared    the activations as codes, in a phase of their own: [t] codes, then [t] scales, then [t] sums of the
//   codes,
//             of every 32 k of a row; k past the end is 0
//   scratch   of q6: a span of blocks with the codes of q8
//
// A task is a run of groups of sixteen rows. Their blocks are taken kQ8Span at a time against all rows of activations,
// so that the codes of a span stay in L1 while the rows go by; between spans the sums lie where the result will.

static constexpr size_t kQ8Span = 16;     // blocks: 512 k, 8.7 kB
static constexpr size_t kQ8Ahead = 4096;  // bytes
static constexpr size_t kQ6ScratchBytes = kQ8Span * kQ8BlockBytes;
static constexpr int kQ8Columns = kWideRegisters >= 32 ? 6 : 2;

// The activations as codes.
struct Q8Rows {
  int8_t* codes;  // [t][k]
  float* scales;  // [t][block]
  int32_t* sums;  // [t][block]
  size_t blocks;  // of a row

  Q8Rows(std::byte* shared, size_t rows, size_t depth)
      : codes(reinterpret_cast<int8_t*>(shared)),
        scales(reinterpret_cast<float*>(shared + rows * q8Blocks(depth) * kQ8Block)),
        sums(reinterpret_cast<int32_t*>(scales + rows * q8Blocks(depth))),
        blocks(q8Blocks(depth)) {}
  static size_t bytes(size_t rows, size_t depth) { return rows * q8Blocks(depth) * (kQ8Block + 8); }
};

// A row of activations, x[k], k < depth.
static void q8Activations(const float* x, size_t depth, size_t row, const Q8Rows& to) {
  for (size_t block = 0; block < to.blocks; ++block) {
    const size_t k = block * kQ8Block, n = depth - k < kQ8Block ? depth - k : kQ8Block;
    const f32x16 low = n < 16 ? loadPart(x + k, n) : load(x + k);
    const f32x16 high = n <= 16 ? zero() : n < 32 ? loadPart(x + k + 16, n - 16) : load(x + k + 16);
    const f32x16 largest = broadcast(0x1.fffffep127f);
    const bool finite = bits(both(lessEqual(abs(low), largest), lessEqual(abs(high), largest))) == 0xffff;
    const float most = finite ? maximum(max(abs(low), abs(high))) : 0.0f;
    int8_t* codes = to.codes + row * to.blocks * kQ8Block + k;
    const bool tiny = most < 0x1p-100f;  // 127 / most would leave f32
    const f32x16 inverse = broadcast(tiny ? 0.0f : 127.0f / most);
    narrowI8(codes, tiny ? zero() : rint(mul(low, inverse)));
    narrowI8(codes + 16, tiny ? zero() : rint(mul(high, inverse)));
    int32_t sum = 0;
    for (size_t i = 0; i < kQ8Block; ++i) sum += codes[i];
    to.scales[row * to.blocks + block] = !finite ? __builtin_nanf("") : tiny ? 0.0f : most / 127.0f;
    to.sums[row * to.blocks + block] = sum;
  }
}

QUIPU_INLINE void prefetchAhead(const std::byte* block, size_t bytes) {
  for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(block + kQ8Ahead + line, 0, 3);
}

// `count` blocks of a group from `blocks` on against kColumns rows: sums[column · pitch + r], rows r < `valid`, stored
// or continued. `first` is the number of the first block in its row.
template <int kColumns>
static void q8Tile(const std::byte* blocks, size_t count, const Q8Rows& a, size_t column, size_t first, float* sums,
                   size_t pitch, size_t valid) {
  f32x16 tile[kColumns];
  for (int c = 0; c < kColumns; ++c) {
    tile[c] = first == 0 ? zero() : loadFirst(sums + c * pitch, valid);
  }
  for (size_t b = 0; b < count; ++b, blocks += kQ8BlockBytes) {
    const int8_t* weights = reinterpret_cast<const int8_t*>(blocks);
    if constexpr (kColumns == 1) prefetchAhead(blocks, kQ8BlockBytes);
    const int8_t* codes[kColumns];
    dots16 dots[kColumns];
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      codes[c] = a.codes + ((column + c) * a.blocks + first + b) * kQ8Block;
      dots[c] = noDots();
    }
#pragma GCC unroll 8
    for (size_t k = 0; k < kQ8Block; k += 4) {
      const codes16 w = loadCodes(weights + k * kGroupRows);
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) dots[c] = dot(dots[c], w, codes[c] + k);
    }
    const f32x16 scale = widenF16(reinterpret_cast<const uint16_t*>(blocks + kQ8Codes));
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const size_t at = (column + c) * a.blocks + first + b;
      tile[c] = fma(totals(dots[c], a.sums[at]), mul(scale, broadcast(a.scales[at])), tile[c]);
    }
  }
  for (int c = 0; c < kColumns; ++c) storeFirst(sums + c * pitch, tile[c], valid);
}

using Q8Tile = void (*)(const std::byte*, size_t, const Q8Rows&, size_t, size_t, float*, size_t, size_t);

struct Q8Tiles {
  Q8Tile ofWidth[kQ8Columns + 1] = {};
  constexpr Q8Tiles() { fill<kQ8Columns>(); }

 private:
  template <int kColumns>
  constexpr void fill() {
    ofWidth[kColumns] = q8Tile<kColumns>;
    if constexpr (kColumns > 1) fill<kColumns - 1>();
  }
};

// Weight rows [first, last), first a multiple of sixteen, against all `columns` rows: sums[column · pitch + n − first].
static void scaledRows(const Q8Rows& a, size_t columns, const View& weights, size_t first, size_t last,
                       std::byte* scratch, float* sums, size_t pitch) {
  static constexpr Q8Tiles kTiles;
  const size_t tiles = (columns + kQ8Columns - 1) / kQ8Columns, blockBytes = scaledBlockBytes(weights.dtype);
  for (size_t row = first; row < last; row += kGroupRows) {
    const std::byte* group = scaledGroup(weights, row / kGroupRows);
    const size_t valid = last - row < kGroupRows ? last - row : kGroupRows;
    for (size_t block = 0; block < a.blocks; block += kQ8Span) {
      const size_t count = a.blocks - block < kQ8Span ? a.blocks - block : kQ8Span;
      const std::byte* blocks = group + block * blockBytes;
      if (weights.dtype == DType::kQ6) {
        for (size_t b = 0; b < count; ++b) {
          prefetchAhead(blocks + b * blockBytes, blockBytes);
          q6Unpack(blocks + b * blockBytes, scratch + b * kQ8BlockBytes);
        }
        blocks = scratch;
      }
      for (size_t tile = 0; tile < tiles; ++tile) {
        const size_t column = tile * columns / tiles, width = (tile + 1) * columns / tiles - column;
        kTiles.ofWidth[width](blocks, count, a, column, block, sums + column * pitch + row - first, pitch, valid);
      }
    }
  }
}

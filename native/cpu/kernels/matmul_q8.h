// matmul by weights of q8 and q6: activations are codes too, so that products are of whole numbers, and rows of weights
// lie across the lanes. Moves the weights once, 34 or 26 bytes for 32 of them; bound by memory for few rows of
// activations, by the multipliers for many.
//
//   shared    the activations as codes, in a phase of their own: [t] codes, then of every 32 k of a row [t] scales and
//             [t] sums of the codes; k past the end is 0
//   scratch   of q6, for more than kQ6FewRows rows: spans of blocks with the codes of q8
//
// A task is a run of groups of sixteen rows. Their blocks are taken kQ8Span at a time against all rows of activations,
// so that the codes of a span stay in L1 while the rows go by; between spans the sums lie where the result will.

static constexpr size_t kQ8Span = 16;  // blocks: 512 k, 8.7 kB
// Bytes. With 4096 a row takes 2 to 3 % longer, with 3072 another 4 to 6; several blocks at a time, 8 to 18 (Zen 5, two
// threads).
static constexpr size_t kQ8Ahead = 6144;
// Few rows of activations take one group of weight rows at a time, as it lies; many, where there are registers, two of
// q8's codes. Rows up to which the first is faster, and how many of them go by a group at once.
static constexpr size_t kQ8FewRows = kWideRegisters >= 32 ? 16 : SIZE_MAX;
static constexpr size_t kQ6FewRows = kWideRegisters >= 32 ? 32 : SIZE_MAX;
// With vpdpbusd of 256 bits, 5 cycles each and two of them a cycle, ten sums are as many as are under way.
static constexpr int kQ8FewColumns = kWideRegisters >= 32 ? 8 : kFusedDots ? 5 : 6;
static constexpr size_t kQ8Groups = 2;
static constexpr int kQ8Columns = 6;

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
    f32x16 low = n < 16 ? loadPart(x + k, n) : load(x + k);
    f32x16 high = n <= 16 ? zero() : n < 32 ? loadPart(x + k + 16, n - 16) : load(x + k + 16);
    if (n == kRotated) rotateBlock(low, high, kRotateActivations);
    Magnitudes magnitudes;
    magnitudes.add(low);
    magnitudes.add(high);
    const ActivationScale scale = magnitudes.scale();
    int8_t* codes = to.codes + row * to.blocks * kQ8Block + k;
    narrowI8(codes, scale.codes(low));
    narrowI8(codes + 16, scale.codes(high));
    int32_t sum = 0;
    for (size_t i = 0; i < kQ8Block; ++i) sum += codes[i];
    to.scales[row * to.blocks + block] = scale.scale;
    to.sums[row * to.blocks + block] = sum;
  }
}

QUIPU_INLINE void prefetchAhead(const std::byte* block, size_t bytes) {
  for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(block + kQ8Ahead + line, 0, 3);
}

// Four k of a block's codes, and sums for the products of a block.
template <DType kFormat>
QUIPU_INLINE auto codesAt(const std::byte* block, size_t line) {
  if constexpr (kFormat == DType::kQ6) {
    return q6Codes(block, line);
  } else {
    return loadCodes(reinterpret_cast<const int8_t*>(block) + line * 64);
  }
}

template <DType kFormat>
QUIPU_INLINE dots16 dotsFor(int32_t sumOfA) {
  if constexpr (kFormat == DType::kQ6) return dotsFrom(-32 * sumOfA);
  return dotsOf(sumOfA);
}

// A run of blocks of adjacent groups.
struct Q8Run {
  const std::byte* blocks;  // of the first group
  size_t apart;             // bytes from one group's to the next one's
  size_t count, first;      // `first`: the number of the first block in its row
  size_t valid;             // rows of the last group
  bool prefetch;            // whether they come from memory
};

// A run of kGroups groups against kColumns rows: sums[column · pitch + 16 · group + r], stored or continued.
template <DType kFormat, int kGroups, int kColumns>
static void q8Tile(const Q8Run& run, const Q8Rows& a, size_t column, float* sums, size_t pitch) {
  constexpr size_t kBlockBytes = kFormat == DType::kQ6 ? kQ6BlockBytes : kQ8BlockBytes;
  const auto place = [&](int g, int c) { return sums + size_t(c) * pitch + size_t(g) * kGroupRows; };
  const auto rows = [&](int g) { return g + 1 < kGroups ? kGroupRows : run.valid; };
  f32x16 tile[kGroups][kColumns];
  for (int g = 0; g < kGroups; ++g) {
    for (int c = 0; c < kColumns; ++c) tile[g][c] = run.first == 0 ? zero() : loadFirst(place(g, c), rows(g));
  }
  const std::byte* block = run.blocks;
  for (size_t b = run.first; b < run.first + run.count; ++b, block += kBlockBytes) {
    if (run.prefetch) {
      for (int g = 0; g < kGroups; ++g) prefetchAhead(block + size_t(g) * run.apart, kBlockBytes);
    }
    const int8_t* codes[kColumns];
    dots16 dots[kGroups][kColumns];
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const size_t at = (column + size_t(c)) * a.blocks + b;
      codes[c] = a.codes + at * kQ8Block;
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) dots[g][c] = dotsFor<kFormat>(a.sums[at]);
    }
#pragma GCC unroll 8
    for (size_t line = 0; line < kQ8Block / 4; ++line) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        const auto w = codesAt<kFormat>(block + size_t(g) * run.apart, line);
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) dots[g][c] = dot(dots[g][c], w, codes[c] + 4 * line);
      }
    }
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const std::byte* end = block + size_t(g) * run.apart + kBlockBytes;
      const f32x16 scale = widenF16(reinterpret_cast<const uint16_t*>(end) - kGroupRows);
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) {
        const f32x16 by = mul(scale, broadcast(a.scales[(column + size_t(c)) * a.blocks + b]));
        tile[g][c] = fma(totals(dots[g][c]), by, tile[g][c]);
      }
    }
  }
  for (int g = 0; g < kGroups; ++g) {
    for (int c = 0; c < kColumns; ++c) storeFirst(place(g, c), tile[g][c], rows(g));
  }
}

using Q8Tile = void (*)(const Q8Run&, const Q8Rows&, size_t, float*, size_t);

template <DType kFormat, int kGroups, int kMost>
struct Q8Tiles {
  Q8Tile ofWidth[kMost + 1] = {};
  constexpr Q8Tiles() { fill<kMost>(); }

 private:
  template <int kColumns>
  constexpr void fill() {
    ofWidth[kColumns] = q8Tile<kFormat, kGroups, kColumns>;
    if constexpr (kColumns > 1) fill<kColumns - 1>();
  }
};

static size_t scaledScratchBytes(size_t columns, DType dtype) {
  return dtype == DType::kQ6 && columns > kQ6FewRows ? kQ8Groups * kQ8Span * kQ8BlockBytes : 0;
}

// Weight rows [first, last), first a multiple of sixteen, against all `columns` rows: sums[column · pitch + n − first].
static void scaledRows(const Q8Rows& a, size_t columns, const View& weights, size_t first, size_t last,
                       std::byte* scratch, float* sums, size_t pitch) {
  static constexpr Q8Tiles<DType::kQ8, 1, kQ8FewColumns> kQ8One;
  static constexpr Q8Tiles<DType::kQ6, 1, kQ8FewColumns> kQ6One;
  static constexpr Q8Tiles<DType::kQ8, kQ8Groups, kQ8Columns> kQ8Several;
  const bool isQ6 = weights.dtype == DType::kQ6, isFew = columns <= (isQ6 ? kQ6FewRows : kQ8FewRows);
  const bool unpacks = isQ6 && !isFew;
  const size_t most = isFew ? kQ8FewColumns : kQ8Columns, tiles = (columns + most - 1) / most;
  const size_t blockBytes = scaledBlockBytes(weights.dtype), groupBytes = q8Blocks(weights.dims[1]) * blockBytes;
  for (size_t row = first, groups; row < last; row += groups * kGroupRows) {
    groups = !isFew && last - row > (kQ8Groups - 1) * kGroupRows ? kQ8Groups : 1;
    const Q8Tile* ofWidth = groups > 1 ? kQ8Several.ofWidth : isQ6 && isFew ? kQ6One.ofWidth : kQ8One.ofWidth;
    const size_t left = last - row - (groups - 1) * kGroupRows;
    for (size_t block = 0; block < a.blocks; block += kQ8Span) {
      const size_t count = a.blocks - block < kQ8Span ? a.blocks - block : kQ8Span;
      const std::byte* blocks = scaledGroup(weights, row / kGroupRows) + block * blockBytes;
      Q8Run run = {blocks, groupBytes, count, block, left < kGroupRows ? left : kGroupRows, !unpacks};
      if (unpacks) {
        run.blocks = scratch;
        run.apart = count * kQ8BlockBytes;
        for (size_t group = 0; group < groups; ++group) {
          const std::byte* from = blocks + group * groupBytes;
          std::byte* to = scratch + group * run.apart;
          for (size_t i = 0; i < count; ++i, from += blockBytes, to += kQ8BlockBytes) {
            prefetchAhead(from, blockBytes);
            q6Unpack(from, to);
          }
        }
      }
      for (size_t tile = 0; tile < tiles; ++tile) {
        const size_t column = tile * columns / tiles, width = (tile + 1) * columns / tiles - column;
        ofWidth[width](run, a, column, sums + column * pitch + row - first, pitch);
        run.prefetch = false;
      }
    }
  }
}

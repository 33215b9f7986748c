// matmul by weights of q8 and q6: activations are codes too, so that products are of whole numbers, and rows of weights
// lie across the lanes. Moves the weights once, 34 or 26 bytes for 32 of them; bound by memory for few rows of
// activations, by the multipliers for many.
//
//   shared    the activations as codes, in a phase of their own; k past the end is 0
//   scratch   of q6, for more than kQ6FewRows rows: a span of blocks with a byte a code, of kQ8Groups groups
//
// A task is a run of groups of sixteen rows. Their blocks are taken kQ8Span at a time against all rows of activations,
// so that the codes of a span stay in L1 while the rows go by; between spans the sums lie where the result will.

static constexpr size_t kQ8Span = 16;  // blocks: 512 k, 8.7 kB
// Tiles: groups of weight rows by rows of activations. What is loaded of either serves the others, so that two groups
// by six rows (AVX-512) are a fifth faster than one by eight where arithmetic bounds. But two groups are two streams:
// up to kQ8FewRows rows go by one. Of 256 bits, two vpdpbusd a cycle that take up to five each have ten sums under way.
static constexpr size_t kQ8Groups = kWideRegisters >= 32 ? 2 : 1;
static constexpr int kQ8Columns = kWideRegisters >= 32 ? 6 : 5;
static constexpr size_t kQ8FewRows = 8;
static constexpr int kQ8FewColumns = kWideRegisters >= 32 ? 8 : kQ8Columns;
// Rows up to which codes of q6 are taken as they lie: of more, each is unpacked to a byte first.
static constexpr size_t kQ6FewRows = kWideRegisters >= 32 || kFusedDots ? 32 : 8;

// A span of a row of activations. In one piece, so that whatever a tile reads of its rows lies at constant places: that
// is 5 to 8 % of 512 rows.
struct alignas(64) Q8Span {
  int8_t codes[kQ8Span * kQ8Block];
  float scales[kQ8Span];
  int32_t firsts[kQ8Span];  // what the products of a block begin at (dotsFor)
};

// The activations as codes.
struct Q8Rows {
  Q8Span* spans;              // [span][t]
  size_t rows, blocks, span;  // span: blocks of each but the last, which may have fewer

  Q8Rows(std::byte* shared, size_t rows, size_t depth)
      : spans(reinterpret_cast<Q8Span*>(shared)),
        rows(rows),
        blocks(q8Blocks(depth)),
        span((blocks + spansOf(depth) - 1) / spansOf(depth)) {}
  static size_t spansOf(size_t depth) { return (q8Blocks(depth) + kQ8Span - 1) / kQ8Span; }
  static size_t bytes(size_t rows, size_t depth) { return rows * spansOf(depth) * sizeof(Q8Span); }
  Q8Span& at(size_t row, size_t block) const { return spans[block / span * rows + row]; }
};

// A row of activations, x[k], k < depth, for products by weights of kFormat.
template <DType kFormat>
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
    Q8Span& span = to.at(row, block);
    const size_t at = block % to.span;
    int8_t* codes = span.codes + at * kQ8Block;
    narrowI8(codes, scale.codes(low));
    narrowI8(codes + 16, scale.codes(high));
    int32_t sum = 0;
    for (size_t i = 0; i < kQ8Block; ++i) sum += codes[i];
    span.scales[at] = scale.scale;
    span.firsts[at] = (kFormat == DType::kQ6 ? -32 : -128) * sum;
  }
}

// How a tile finds codes: of q8 and of q6 as they lie, or of q6 with a byte each.
enum class Codes { kQ8, kQ6, kQ6Bytes };

// Four k of a block's codes, and what the sums of its products begin at.
template <Codes kCodes>
QUIPU_INLINE auto codesAt(const std::byte* block, size_t line) {
  if constexpr (kCodes == Codes::kQ6) {
    return q6Codes(block, line);
  } else if constexpr (kCodes == Codes::kQ6Bytes) {
    return loadUnsigned(reinterpret_cast<const uint8_t*>(block) + line * 64);
  } else {
    return loadCodes(reinterpret_cast<const int8_t*>(block) + line * 64);
  }
}

template <Codes kCodes>
QUIPU_INLINE dots16 dotsFor(int32_t first) {
  return kCodes == Codes::kQ8 ? dotsOf(first) : dotsFrom(first);
}

// A run of blocks of adjacent groups.
struct Q8Run {
  const std::byte* blocks;  // of the first group
  size_t apart;             // bytes from one group's to the next one's
  size_t count, first;      // `first`: the number of the first block in its row
  size_t valid;             // rows of the last group
};

// What is fetched meanwhile: of every block of the next run, lines [first, last).
struct Q8Fetch {
  const std::byte* blocks;  // as those of a run
  size_t apart, first, last;
};

// A run of kGroups groups against kColumns rows: sums[column · pitch + 16 · group + r], stored or continued.
template <Codes kCodes, int kGroups, int kColumns>
static void q8Tile(const Q8Run& run, const Q8Fetch& fetch, const Q8Rows& a, size_t column, float* sums, size_t pitch) {
  // Products of six bits may be added by two before they are widened.
  constexpr size_t kLines = kCodes == Codes::kQ8 || kFusedDots ? 1 : 2;
  constexpr size_t kBlockBytes = kCodes == Codes::kQ6 ? kQ6BlockBytes : kQ8BlockBytes;
  const auto place = [&](int g, int c) { return sums + size_t(c) * pitch + size_t(g) * kGroupRows; };
  const auto rows = [&](int g) { return g + 1 < kGroups ? kGroupRows : run.valid; };
  f32x16 tile[kGroups][kColumns];
  for (int g = 0; g < kGroups; ++g) {
    for (int c = 0; c < kColumns; ++c) tile[g][c] = run.first == 0 ? zero() : loadFirst(place(g, c), rows(g));
  }
  const Q8Span* spans = &a.at(column, run.first);
  const std::byte *block = run.blocks, *ahead = fetch.blocks;
  for (size_t b = 0; b < run.count; ++b, block += kBlockBytes, ahead += kBlockBytes) {
    for (int g = 0; g < kGroups; ++g) {
      fetchLines<kBlockBytes, kGroups == 1>(ahead + size_t(g) * fetch.apart, fetch.first, fetch.last);
    }
    dots16 dots[kGroups][kColumns];
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) dots[g][c] = dotsFor<kCodes>(spans[c].firsts[b]);
    }
#pragma GCC unroll 8
    for (size_t line = 0; line < kQ8Block / 4; line += kLines) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        const std::byte* of = block + size_t(g) * run.apart;
        const auto w = codesAt<kCodes>(of, line), next = codesAt<kCodes>(of, line + kLines - 1);
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) {
          const int8_t* x = spans[c].codes + b * kQ8Block + 4 * line;
          if constexpr (kLines == 2) {
            dots[g][c] = dotTwo(dots[g][c], w, next, x);
          } else {
            dots[g][c] = dot(dots[g][c], w, x);
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const std::byte* end = block + size_t(g) * run.apart + kBlockBytes;
      const f32x16 scale = widenF16(reinterpret_cast<const uint16_t*>(end) - kGroupRows);
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) {
        const f32x16 by = mul(scale, broadcast(spans[c].scales[b]));
        tile[g][c] = fma(totals(dots[g][c]), by, tile[g][c]);
      }
    }
  }
  for (int g = 0; g < kGroups; ++g) {
    for (int c = 0; c < kColumns; ++c) storeFirst(place(g, c), tile[g][c], rows(g));
  }
}

using Q8Tile = void (*)(const Q8Run&, const Q8Fetch&, const Q8Rows&, size_t, float*, size_t);

template <Codes kCodes, int kGroups, int kMost>
struct Q8Tiles {
  Q8Tile ofWidth[kMost + 1] = {};
  constexpr Q8Tiles() { fill<kMost>(); }

 private:
  template <int kColumns>
  constexpr void fill() {
    ofWidth[kColumns] = q8Tile<kCodes, kGroups, kColumns>;
    if constexpr (kColumns > 1) fill<kColumns - 1>();
  }
};

// Those of so many groups, by width.
template <Codes kCodes>
static const Q8Tile* q8Tiles(size_t groups) {
  static constexpr Q8Tiles<kCodes, 1, kQ8FewColumns> kOne;
  static constexpr Q8Tiles<kCodes, kQ8Groups, kQ8Columns> kSeveral;
  return groups > 1 ? kSeveral.ofWidth : kOne.ofWidth;
}

static size_t scaledScratchBytes(size_t columns, DType dtype) {
  return dtype == DType::kQ6 && columns > kQ6FewRows ? kQ8Groups * kQ8Span * kQ8BlockBytes : 0;
}

// Weight rows [first, last), first a multiple of sixteen, against all `columns` rows: sums[column · pitch + n − first].
static void scaledRows(const Q8Rows& a, size_t columns, const View& weights, size_t first, size_t last,
                       std::byte* scratch, float* sums, size_t pitch) {
  const bool isFew = columns <= kQ8FewRows, isQ6 = weights.dtype == DType::kQ6;
  const bool unpacks = isQ6 && columns > kQ6FewRows;
  const size_t most = isFew ? kQ8FewColumns : kQ8Columns, tiles = (columns + most - 1) / most;
  const size_t blockBytes = scaledBlockBytes(weights.dtype), groupBytes = a.blocks * blockBytes;
  for (size_t row = first, groups; row < last; row += groups * kGroupRows) {
    groups = !isFew && last - row > (kQ8Groups - 1) * kGroupRows ? kQ8Groups : 1;
    const Q8Tile* ofWidth = unpacks ? q8Tiles<Codes::kQ6Bytes>(groups)
                            : isQ6  ? q8Tiles<Codes::kQ6>(groups)
                                    : q8Tiles<Codes::kQ8>(groups);
    const size_t left = last - row - (groups - 1) * kGroupRows;
    for (size_t block = 0, count; block < a.blocks; block += count) {
      count = a.blocks - block < a.span ? a.blocks - block : a.span;
      const std::byte* blocks = scaledGroup(weights, row / kGroupRows) + block * blockBytes;
      Q8Run run = {blocks, groupBytes, count, block, left < kGroupRows ? left : kGroupRows};
      const bool isLast = block + count == a.blocks;
      const std::byte* next = isLast ? scaledGroup(weights, row / kGroupRows + groups) : blocks + count * blockBytes;
      Q8Fetch fetch = {next, groupBytes, 0, 0};
      if (unpacks) {
        run.blocks = scratch;
        run.apart = count * kQ8BlockBytes;
        for (size_t group = 0; group < groups; ++group) {
          const std::byte* from = blocks + group * groupBytes;
          std::byte* to = scratch + group * run.apart;
          for (size_t i = 0; i < count; ++i, from += blockBytes, to += kQ8BlockBytes) q6Bytes(from, to);
        }
      }
      for (size_t tile = 0; tile < tiles; ++tile) {
        const size_t column = tile * columns / tiles, width = (tile + 1) * columns / tiles - column;
        fetch.first = fetch.last;
        fetch.last = (tile + 1) * linesOf(blockBytes) / tiles;
        ofWidth[width](run, fetch, a, column, sums + column * pitch + row - first, pitch);
      }
    }
  }
}

// matmul by weights of q4: activations are codes too, of one scale for every 256, so that a superblock's products are
// whole numbers; rows of weights lie across the lanes. Moves the weights once, 4.5 bits each; bound by memory for few
// rows of activations, by the multipliers for many.
//
//   shared    the activations, in a phase of their own: codes, scales, and sums of the codes of every 32 k; k past the
//             end of a row is 0
//   scratch   superblocks with a byte a code, of kQ4Panels groups, and their sums
//
// Few rows of activations take codes as they lie. For many superblocks are unpacked once, to L1, and all rows go by.
// Their sums are held side by side meanwhile: where the result will lie, they are a power of two apart as often as not,
// and evict each other.

// Bytes: a superblock and a half, where one tile has all rows. It is fetched as a whole, before one is computed: line
// by line between the products takes an eighth longer. One stream a thread: two side by side take a twentieth longer.
// Of several tiles each fetches its part of the next group: all by the first takes 7 % longer (Zen 5, two threads).
static constexpr size_t kQ4Ahead = 3456;
static constexpr size_t kQ4Panels = kWideRegisters >= 32 ? 3 : 1;
// Rows of activations that take codes as they lie.
static constexpr size_t kQ4FewRows = kWideRegisters >= 32 ? kPackedFewRows : 6;
// How many at a time, of unpacked ones and of those.
// Of the first eight are 12 to 20 % faster than four with AVX-512, as codes are unpacked less often. With two halves of
// sums for a row of them, six where no instruction needs a register for products.
static constexpr int kQ4Columns = kWideRegisters < 32 && kFusedDots ? 6 : 4;
static constexpr int kQ4FewColumns = kWideRegisters >= 32 ? 8 : kQ4Columns;

// The activations as codes. By superblock first: many rows go by a superblock of weights one after another.
struct Q4Rows {
  int8_t* codes;               // [super][t][k]
  float* scales;               // [super][t]
  int16_t* sums;               // [super][t][block]
  size_t rows, pairs, supers;  // pairs, supers: of a row

  Q4Rows(std::byte* shared, size_t rows, size_t depth)
      : codes(reinterpret_cast<int8_t*>(shared)),
        scales(reinterpret_cast<float*>(shared + rows * q4Pairs(depth) * kQ4Pair)),
        sums(reinterpret_cast<int16_t*>(scales + rows * q4Supers(depth))),
        rows(rows),
        pairs(q4Pairs(depth)),
        supers(q4Supers(depth)) {}
  static size_t bytes(size_t rows, size_t depth) {
    return rows * (q4Pairs(depth) * (kQ4Pair + 4) + q4Supers(depth) * 4);
  }
  // The first of a row's pairs in a superblock, as a number of pairs.
  size_t pairAt(size_t row, size_t super) const {
    const size_t before = super * kQ4Super / kQ4Pair, left = pairs - before;
    return before * rows + row * (left < 4 ? left : 4);
  }
  int8_t* codesAt(size_t row, size_t super) const { return codes + pairAt(row, super) * kQ4Pair; }
  int16_t* sumsAt(size_t row, size_t super) const { return sums + 2 * pairAt(row, super); }
  float& scaleAt(size_t row, size_t super) const { return scales[super * rows + row]; }
};

// A row of activations, x[k], k < depth.
static void q4Activations(const float* x, size_t depth, size_t row, const Q4Rows& to) {
  for (size_t super = 0; super < to.supers; ++super) {
    const size_t first = super * kQ4Super, count = depth - first < kQ4Super ? depth - first : kQ4Super;
    const size_t padded = q4Pairs(count) * kQ4Pair;
    Magnitudes magnitudes;
    for (size_t k = 0; k < count; k += 16) {
      magnitudes.add(loadFirst(x + first + k, count - k < 16 ? count - k : 16));
    }
    const ActivationScale scale = magnitudes.scale();
    int8_t* codes = to.codesAt(row, super);
    for (size_t k = 0; k < padded; k += 16) {
      const size_t n = k >= count ? 0 : count - k < 16 ? count - k : 16;
      narrowI8(codes + k, n == 0 ? zero() : scale.codes(loadFirst(x + first + k, n)));
    }
    int16_t* sums = to.sumsAt(row, super);
    for (size_t block = 0; block < padded / kQ4Block; ++block) {
      int16_t sum = 0;
      for (size_t i = 0; i < kQ4Block; ++i) sum = int16_t(sum + codes[block * kQ4Block + i]);
      sums[block] = sum;
    }
    to.scaleAt(row, super) = scale.scale;
  }
}

// Products of whole superblocks know their pairs when they are compiled: with places that are computed, four rows take
// a tenth longer.
static constexpr size_t kQ4WholePairs = kQ4Super / kQ4Pair;

// A superblock's share of sixteen sums.
QUIPU_INLINE f32x16 addSuper(f32x16 sum, f32x16 products, const dots16& minimums, f32x16 superScale,
                             f32x16 superMinimum, float scale) {
  const f32x16 by = broadcast(scale);
  sum = fma(products, mul(superScale, by), sum);
  return fma(negate(totals(minimums)), mul(superMinimum, by), sum);
}

// --- few rows of activations: codes as they lie ---------------------------------------------------------------------

// Superblock s of a group, which has kPairs pairs (0: any.pairs), against the codes of kColumns rows: added to
// sums[column].
template <int kColumns, size_t kPairs>
QUIPU_INLINE void q4StreamSuper(const Q4Super& any, size_t s, const Q4Rows& a, size_t column,
                                f32x16 (&sums)[kColumns]) {
  const size_t pairs = kPairs > 0 ? kPairs : any.pairs;
  const Q4Super super = {any.codes, pairs};
  const int8_t* codes = a.codesAt(column, s);
  const int16_t* blockSums = a.sumsAt(column, s);
  dots16 products[kColumns], minimums[kColumns];
#pragma GCC unroll 8
  for (int c = 0; c < kColumns; ++c) products[c] = minimums[c] = dotsFrom(0);
  for (size_t pair = 0; pair < pairs; ++pair) {
    const uint8_t *w = super.codes + pair * kQ4Codes, *side = super.side(pair);
    const pairs16 scales = scalesOf(side), offsets = minimumsOf(side);
#pragma GCC unroll 2
    for (int which = 0; which < 2; ++which, w += kQ4Codes / 2) {
      const int8_t* x = codes + pair * kQ4Pair + size_t(which) * kQ4Block;
      partial16 partial[kColumns];
#pragma GCC unroll 8
      for (partial16& sum : partial) sum = noPartial();
#pragma GCC unroll 4
      for (size_t k = 0; k < 16; k += 4) {
        const ucodes16 low = lowNibbles(w + k * kGroupRows), high = highNibbles(w + k * kGroupRows);
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) {
          partial[c] = dot(partial[c], low, x + size_t(c) * pairs * kQ4Pair + k);
          partial[c] = dot(partial[c], high, x + size_t(c) * pairs * kQ4Pair + k + 16);
        }
      }
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) products[c] = addScaled(products[c], partial[c], scales, which);
    }
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      minimums[c] = addPairs(minimums[c], offsets, blockSums + 2 * (size_t(c) * pairs + pair));
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c < kColumns; ++c) {
    sums[c] = addSuper(sums[c], totals(products[c]), minimums[c], q4Scales(super), q4Minimums(super),
                       a.scaleAt(column + size_t(c), s));
  }
}

// What is fetched meanwhile: of every superblock, lines [first, last) of what lies so many bytes ahead.
struct Q4Fetch {
  size_t ahead, first, last;
};

// A group against kColumns rows from `column` on, put down: sums[column · pitch + r], r < valid.
template <int kColumns>
static void q4Few(const View& weights, size_t group, const Q4Fetch& fetch, const Q4Rows& a, size_t column, float* sums,
                  size_t pitch, size_t valid) {
  f32x16 of[kColumns];
  for (f32x16& sum : of) sum = zero();
  for (size_t s = 0; s < a.supers; ++s) {
    const Q4Super super = q4Super(weights, group, s);
    fetchLines<kQ4SuperBytes, true>(super.codes + fetch.ahead, fetch.first, fetch.last);
    if (super.pairs == kQ4WholePairs) {
      q4StreamSuper<kColumns, kQ4WholePairs>(super, s, a, column, of);
    } else {
      q4StreamSuper<kColumns, 0>(super, s, a, column, of);
    }
  }
  for (int c = 0; c < kColumns; ++c) storeFirst(sums + size_t(c) * pitch, of[c], valid);
}

// --- several ---------------------------------------------------------------------------------------------------------

// A superblock with a byte a code.
struct alignas(64) Q4Panel {
  uint8_t codes[kQ4Super * kGroupRows];  // [k / 4][row][4]
  factors16 scales[8];                   // by block
  pairs16 minimums[4];                   // by pair
  f32x16 superScale, superMinimum;
};

QUIPU_INLINE void unpackQ4(const Q4Super& super, Q4Panel& panel) {
  for (size_t pair = 0; pair < super.pairs; ++pair) {
    const uint8_t* from = super.codes + pair * kQ4Codes;
    uint8_t* to = panel.codes + pair * kQ4Pair * kGroupRows;
#pragma GCC unroll 2
    for (size_t half = 0; half < 2; ++half, from += kQ4Codes / 2, to += kQ4Block * kGroupRows) {
#pragma GCC unroll 4
      for (size_t k = 0; k < 16; k += 4) {
        store(to + k * kGroupRows, lowNibbles(from + k * kGroupRows));
        store(to + (16 + k) * kGroupRows, highNibbles(from + k * kGroupRows));
      }
    }
    const pairs16 scales = scalesOf(super.side(pair));
    for (int which = 0; which < 2; ++which) panel.scales[2 * pair + size_t(which)] = factorsOf(scales, which);
    panel.minimums[pair] = minimumsOf(super.side(pair));
  }
  panel.superScale = q4Scales(super);
  panel.superMinimum = q4Minimums(super);
}

// While all rows go by one: that takes long enough for 17 to 32 of them to be a quarter faster.
QUIPU_INLINE void fetchQ4(const Q4Super& super) {
  for (size_t line = 0; line < kQ4SuperBytes; line += 64) __builtin_prefetch(super.codes + line, 0, 2);
}

// kGroups panels of superblock s, which has kPairs pairs (0: `pairs`), against kColumns rows from `column` on:
// held[column][group][r], stored or continued.
template <int kGroups, int kColumns, size_t kPairs>
static void q4Tile(const Q4Panel* panels, size_t pairs, size_t s, const Q4Rows& a, size_t column, float* held) {
  if (kPairs > 0) pairs = kPairs;
  const int8_t* codes = a.codesAt(column, s);
  scaled16 halves[2][kGroups][kColumns];  // as it holds four blocks
#pragma GCC unroll 2
  for (size_t half = 0; half < 2; ++half) {
    scaled16(&products)[kGroups][kColumns] = halves[half];
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; ++c) products[g][c] = noScaled();
    }
    const size_t end = 2 * pairs < 4 * half + 4 ? 2 * pairs : 4 * half + 4;
    for (size_t block = 4 * half; block < end; ++block) {
      partial16 partial[kGroups][kColumns];
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) partial[g][c] = noPartial();
      }
      const size_t first = block * kQ4Block;
#pragma GCC unroll 8
      for (size_t k = 0; k < kQ4Block; k += 4) {
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) {
          const ucodes16 w = loadUnsigned(panels[g].codes + (first + k) * kGroupRows);
#pragma GCC unroll 8
          for (int c = 0; c < kColumns; ++c) {
            partial[g][c] = dot(partial[g][c], w, codes + size_t(c) * pairs * kQ4Pair + first + k);
          }
        }
      }
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
#pragma GCC unroll 8
        for (int c = 0; c < kColumns; ++c) {
          products[g][c] = addScaled(products[g][c], partial[g][c], panels[g].scales[block]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c < kColumns; ++c) {
    dots16 minimums[kGroups];
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) minimums[g] = dotsFrom(0);
    const int16_t* sums = a.sumsAt(column, s) + size_t(c) * pairs * 2;
#pragma GCC unroll 4
    for (size_t pair = 0; pair < pairs; ++pair) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) minimums[g] = addPairs(minimums[g], panels[g].minimums[pair], sums + 2 * pair);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      float* to = held + ((column + size_t(c)) * kGroups + size_t(g)) * kGroupRows;
      const f32x16 before = s == 0 ? zero() : load(to);
      store(to, addSuper(before, totals(halves[0][g][c], halves[1][g][c]), minimums[g], panels[g].superScale,
                         panels[g].superMinimum, a.scaleAt(column + size_t(c), s)));
    }
  }
}

using Q4Tile = void (*)(const Q4Panel*, size_t, size_t, const Q4Rows&, size_t, float*);
using Q4Few = void (*)(const View&, size_t, const Q4Fetch&, const Q4Rows&, size_t, float*, size_t, size_t);

struct Q4Tiles {
  Q4Tile of[kQ4Panels + 1][kQ4Columns + 1] = {}, ofWhole[kQ4Panels + 1][kQ4Columns + 1] = {};
  Q4Few few[kQ4FewColumns + 1] = {};

 private:
  // Before the constructor: clang evaluates it only with what it has read.
  template <int kGroups, int kColumns>
  constexpr void fill() {
    of[kGroups][kColumns] = q4Tile<kGroups, kColumns, 0>;
    ofWhole[kGroups][kColumns] = q4Tile<kGroups, kColumns, kQ4WholePairs>;
    if constexpr (kColumns > 1) {
      fill<kGroups, kColumns - 1>();
    } else if constexpr (kGroups > 1) {
      fill<kGroups - 1, kQ4Columns>();
    }
  }
  template <int kColumns>
  constexpr void fillFew() {
    few[kColumns] = q4Few<kColumns>;
    if constexpr (kColumns > 1) fillFew<kColumns - 1>();
  }

 public:
  constexpr Q4Tiles() {
    fill<kQ4Panels, kQ4Columns>();
    fillFew<kQ4FewColumns>();
  }
};

static size_t q4ScratchBytes(size_t columns) {
  return columns <= kQ4FewRows ? 0 : kQ4Panels * (sizeof(Q4Panel) + columns * kGroupRows * sizeof(float));
}

// Weight rows [first, last), first a multiple of sixteen, against all `columns` rows: sums[column · pitch + n − first].
static void q4Rows(const Q4Rows& a, size_t columns, const View& weights, size_t first, size_t last, std::byte* scratch,
                   float* sums, size_t pitch) {
  const size_t groups = (last - first + kGroupRows - 1) / kGroupRows, group = first / kGroupRows;
  const auto validOf = [&](size_t g) {
    const size_t left = last - first - g * kGroupRows;
    return left < kGroupRows ? left : kGroupRows;
  };
  static constexpr Q4Tiles kTiles;
  if (columns <= kQ4FewRows) {
    const size_t tiles = (columns + kQ4FewColumns - 1) / kQ4FewColumns;
    const size_t lines = linesOf(kQ4SuperBytes), ahead = tiles == 1 ? kQ4Ahead : q4GroupBytes(weights.dims[1]);
    for (size_t g = 0; g < groups; ++g) {
      for (size_t tile = 0; tile < tiles; ++tile) {
        const size_t column = tile * columns / tiles, width = (tile + 1) * columns / tiles - column;
        const Q4Fetch fetch = {ahead, tile * lines / tiles, (tile + 1) * lines / tiles};
        kTiles.few[width](weights, group + g, fetch, a, column, sums + column * pitch + g * kGroupRows, pitch,
                          validOf(g));
      }
    }
    return;
  }
  auto* panels = reinterpret_cast<Q4Panel*>(scratch);
  float* held = reinterpret_cast<float*>(panels + kQ4Panels);
  const size_t tiles = (columns + kQ4Columns - 1) / kQ4Columns;
  for (size_t g = 0; g < groups; g += kQ4Panels) {
    const size_t count = groups - g < kQ4Panels ? groups - g : kQ4Panels;
    for (size_t s = 0; s < a.supers; ++s) {
      size_t pairs = 0;
      for (size_t i = 0; i < count; ++i) {
        const Q4Super super = q4Super(weights, group + g + i, s);
        unpackQ4(super, panels[i]);
        pairs = super.pairs;
        const bool isLast = s + 1 == a.supers;
        fetchQ4(q4Super(weights, group + g + i + (isLast ? count : 0), isLast ? 0 : s + 1));
      }
      const Q4Tile* ofWidth = (pairs == kQ4WholePairs ? kTiles.ofWhole : kTiles.of)[count];
      for (size_t tile = 0; tile < tiles; ++tile) {
        const size_t column = tile * columns / tiles, width = (tile + 1) * columns / tiles - column;
        ofWidth[width](panels, pairs, s, a, column, held);
      }
    }
    const size_t valid = (count - 1) * kGroupRows + validOf(g + count - 1);
    for (size_t column = 0; column < columns; ++column) {
      copyFloats(held + column * count * kGroupRows, sums + column * pitch + g * kGroupRows, valid);
    }
  }
}

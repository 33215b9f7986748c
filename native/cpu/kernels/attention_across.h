// Attention of heads of few features, sixteen queries of a key/value head against a page of f32 or f16: queries lie
// across the lanes, in place of keys and then features, of which eight would leave half of them idle; what is a maximum
// or a sum over keys is lane by lane. The same numbers in the same order as attention_page.h (docs/numerics.md).

static constexpr size_t kFewFeatures = 16, kFeaturesAcross = 4;
QUIPU_INLINE bool hasFewFeatures(size_t size) { return size <= kFewFeatures && size % kFeaturesAcross == 0; }

static constexpr size_t kAcrossQueries = 16;
// A tile takes as long whatever its queries: with less than this many tiles of attention_page.h are as fast.
static constexpr size_t kLeastAcross = 8;
// Chains of a score or of an output feature that are computed side by side.
static constexpr size_t kAcrossChains = kWideRegisters >= 32 ? 8 : 4;

// Sixteen queries, one a lane, with what the pages so far have come to.
struct AcrossTile {
  alignas(64) float q[kFewFeatures][kAcrossQueries];
  float out[kFewFeatures][kAcrossQueries];
  float maximum[kAcrossQueries], sum[kAcrossQueries];
  uint32_t visible[kAcrossQueries];  // keys that a query sees, of all pages; none where there is no query
};

// Keys of a page that each query sees, 0 … 64, and the least and the most of all sixteen.
struct AcrossSight {
  alignas(64) float keys[kAcrossQueries];
  uint32_t least, most;
};

QUIPU_INLINE AcrossSight sightOf(const AcrossTile& tile, size_t block) {
  const auto before = uint32_t(block * kPageKeys);
  AcrossSight sight = {{}, kPageKeys, 0};
  for (size_t i = 0; i < kAcrossQueries; ++i) {
    const uint32_t left = tile.visible[i] > before ? tile.visible[i] - before : 0;
    const uint32_t seen = left < kPageKeys ? left : uint32_t(kPageKeys);
    sight.keys[i] = float(int32_t(seen));
    sight.least = seen < sight.least ? seen : sight.least;
    sight.most = seen > sight.most ? seen : sight.most;
  }
  return sight;
}

// Rows of `size` features into lanes, `count` of them: columns[c][i] is rowAt(i)[c].
template <typename RowAt>
QUIPU_INLINE void rowsToLanes(size_t count, size_t size, float (*columns)[kAcrossQueries], RowAt rowAt) {
  f32x16 lanes[16];
  for (size_t i = 0; i < 16; ++i) lanes[i] = i < count ? loadFirst(rowAt(i), size) : zero();
  transpose(lanes);
  for (size_t c = 0; c < size; ++c) store(columns[c], lanes[c]);
}

// scores[j] of all queries for the keys [0, keys), a key after another; the greatest that each query sees.
template <bool kWhole>
QUIPU_INLINE f32x16 scoreAcross(const AcrossTile& tile, const AcrossSight& sight, const float* keys, size_t size,
                                float scale, float (*scores)[kAcrossQueries]) {
  const f32x16 seen = load(sight.keys), hidden = broadcast(-__builtin_inff());
  f32x16 greatest = hidden;
  for (size_t first = 0; first < sight.most; first += kAcrossChains) {
    f32x16 acc[kAcrossChains];
#pragma GCC unroll 8
    for (size_t j = 0; j < kAcrossChains; ++j) acc[j] = zero();
    for (size_t c = 0; c < size; ++c) {
      const f32x16 q = load(tile.q[c]);
      const float* key = keys + c * kPageKeys + first;
#pragma GCC unroll 8
      for (size_t j = 0; j < kAcrossChains; ++j) acc[j] = fma(q, broadcast(key[j]), acc[j]);
    }
#pragma GCC unroll 8
    for (size_t j = 0; j < kAcrossChains; ++j) {
      const f32x16 score = mul(acc[j], broadcast(scale));
      store(scores[first + j], score);
      greatest = max(kWhole ? score : select(less(broadcast(float(first + j)), seen), score, hidden), greatest);
    }
  }
  return greatest;
}

// Turns the scores of a page into exp(score − greatest), 0 for keys that a query does not see; their sum.
template <bool kWhole>
QUIPU_INLINE f32x16 weighAcross(const AcrossSight& sight, f32x16 greatest, float (*scores)[kAcrossQueries]) {
  const f32x16 seen = load(sight.keys);
  f32x16 lanes[16];  // of the sum of sixteen lanes
  for (size_t lane = 0; lane < 16; ++lane) {
    f32x16 total = zero();
    for (size_t j = lane; j < sight.most; j += 16) {
      const f32x16 below = sub(load(scores[j]), greatest);
      f32x16 weight;
      if constexpr (kWhole) {
        weight = expOfDifference(below);
      } else {
        const m16 there = less(broadcast(float(j)), seen);
        weight = select(there, expOfDifference(select(there, below, zero())), zero());
      }
      total = add(total, weight);
      store(scores[j], weight);
    }
    lanes[lane] = total;
  }
  for (size_t half = 8; half > 0; half /= 2) {
    for (size_t lane = 0; lane < half; ++lane) lanes[lane] = add(lanes[lane], lanes[lane + half]);
  }
  return lanes[0];
}

// Of features [first, first + F) what the page's values come to, joined to what came before.
template <size_t F, bool kWhole>
QUIPU_INLINE void valuesAcross(AcrossTile& tile, const AcrossSight& sight, const float* values, size_t size,
                               size_t first, const float (*weights)[kAcrossQueries], f32x16 before, f32x16 now) {
  const f32x16 seen = load(sight.keys);
  f32x16 acc[F];
#pragma GCC unroll 8
  for (size_t c = 0; c < F; ++c) acc[c] = zero();
  for (size_t j = 0; j < sight.least; ++j) {
    const f32x16 weight = load(weights[j]);
#pragma GCC unroll 8
    for (size_t c = 0; c < F; ++c) acc[c] = fma(weight, broadcast(values[j * size + first + c]), acc[c]);
  }
  if constexpr (!kWhole) {
    for (size_t j = sight.least; j < sight.most; ++j) {  // 0 times what a query does not see may be no number
      const f32x16 weight = load(weights[j]);
      const m16 there = less(broadcast(float(j)), seen);
#pragma GCC unroll 8
      for (size_t c = 0; c < F; ++c) {
        acc[c] = select(there, fma(weight, broadcast(values[j * size + first + c]), acc[c]), acc[c]);
      }
    }
  }
  const m16 any = less(zero(), seen);
#pragma GCC unroll 8
  for (size_t c = 0; c < F; ++c) {
    float* out = tile.out[first + c];
    const f32x16 sofar = load(out), merged = fma(sofar, before, mul(acc[c], now));
    store(out, kWhole ? merged : select(any, merged, sofar));  // −0 stays −0
  }
}

template <bool kWhole>
static void attendAcrossAs(AcrossTile& tile, const AcrossSight& sight, const float* keys, const float* values,
                           size_t size, float scale) {
  alignas(64) float scores[kPageKeys][kAcrossQueries];
  const f32x16 next = scoreAcross<kWhole>(tile, sight, keys, size, scale, scores);
  const f32x16 sum = weighAcross<kWhole>(sight, next, scores);
  const f32x16 maximum = load(tile.maximum), greatest = max(maximum, next);
  const f32x16 before = expOfDifference(sub(maximum, greatest)), now = expOfDifference(sub(next, greatest));
  // (Of a query that does not see the page, 1 and 0.)
  store(tile.maximum, greatest);
  store(tile.sum, fma(load(tile.sum), before, mul(sum, now)));
  size_t c = 0;
  for (; c + kAcrossChains <= size; c += kAcrossChains) {
    valuesAcross<kAcrossChains, kWhole>(tile, sight, values, size, c, scores, before, now);
  }
  for (; c < size; c += kFeaturesAcross) {
    valuesAcross<kFeaturesAcross, kWhole>(tile, sight, values, size, c, scores, before, now);
  }
}

// A page, keys [d, 64] and values [64, d], for a tile.
static void attendAcross(AcrossTile& tile, const AcrossSight& sight, const float* keys, const float* values,
                         size_t size, float scale) {
  if (sight.least == kPageKeys) return attendAcrossAs<true>(tile, sight, keys, values, size, scale);
  attendAcrossAs<false>(tile, sight, keys, values, size, scale);
}

// A page's elements, widened into `room` where they are of f16.
QUIPU_INLINE const float* widened(const float* from, size_t, float*) { return from; }
QUIPU_INLINE const float* widened(const F16* from, size_t count, float* room) {
  for (size_t i = 0; i < count; i += 16) store(room + i, loadWide(from + i));
  return room;
}

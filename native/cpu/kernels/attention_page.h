// One page of attention: up to kQueries queries (heads of one key/value head, of adjacent rows) against up to 64 keys,
// all from scratch, in the order of docs/numerics.md. What comes out is the page's own maximum, sum and weighted
// values, left for attention.h to merge or joined to what came before while they are in registers.
//
// Keys lie across the lanes, so a score is one chain of fma over the head's features: broadcast q[c], load 16 keys, and
// the loads serve all queries. Values lie row by row, lanes across features: broadcast p[j], load the value row, again
// for all queries. Tiles fit the registers: on AVX-512 6 queries × 64 keys and 6 × 64 features, on AVX2 6 × 16. A tile
// does each step for all of its queries before the next one: what a query waits for (its maximum, its sum, the factors
// that merge it) the others fill.

static constexpr size_t kQueries = kWideRegisters >= 8 ? 6 : 1;  // of a tile
// f32x16 a query in a tile of Q.
template <size_t Q>
static constexpr size_t kTileVectors = kWideRegisters >= 32 || Q == 1 ? 4 : 1;
// Whose whole-number sums stay in registers.
static constexpr size_t kDotQueries = kWideRegisters >= 32 || kFusedDots ? 6 : 3;
static_assert(kQueries <= 8, "a tile's factors are sixteen");

QUIPU_INLINE f32x16 loadWide(const int8_t* p) { return widenI8(p); }
QUIPU_INLINE f32x16 loadWidePart(const int8_t* p, size_t n) { return widenI8Part(p, n); }

struct PageQuery {
  const float* q;    // [d]
  QueryCodes codes;  // in its place, of an i8 cache
  float factor;      // of its scores
  uint32_t visible;  // keys of the page that the query sees: 1 … 64
  float* out;        // [d] Σ p · value
  float maximum;     // of its scores
  float sum;         // of its exp(score − maximum)
};

// A page of one key/value head. What follows the values is null except for i8.
template <typename E>
struct Page {
  const E* keys;    // [d, 64]; of i8 as cache_codes.h says
  const E* values;  // [64, d]
  const float* keyScales;
  const float* valueScales;
  const int8_t* lastCodes;  // [64, 4] of the last features where they are no four, padded with zeros
};

// scores[i][key] for the keys of `kTileVectors` vectors from `firstKey`.
template <size_t Q, typename E>
QUIPU_INLINE void scoreTile(const PageQuery* queries, const Page<E>& page, size_t firstKey, size_t size,
                            float (*scores)[kPageKeys]) {
  constexpr size_t V = kTileVectors<Q>;
  f32x16 acc[Q][V];
  const float* q[Q];
  for (size_t i = 0; i < Q; ++i) {
    for (size_t v = 0; v < V; ++v) acc[i][v] = zero();
    q[i] = queries[i].q;
  }
  const E* keys = page.keys + firstKey;
  for (size_t c = 0; c < size; ++c, keys += kPageKeys) {
    f32x16 key[V];
    for (size_t v = 0; v < V; ++v) key[v] = loadWide(keys + 16 * v);
    for (size_t i = 0; i < Q; ++i) {
      const f32x16 feature = broadcast(q[i][c]);
      for (size_t v = 0; v < V; ++v) acc[i][v] = fma(feature, key[v], acc[i][v]);
    }
  }
  for (size_t i = 0; i < Q; ++i) {
    for (size_t v = 0; v < V; ++v) {
      store(scores[i] + firstKey + 16 * v, mul(acc[i][v], broadcast(queries[i].factor)));
    }
  }
}

// Σ code · code over the features first … end − 1, at most kExactProducts, of the keys of V vectors from `firstKey`.
template <size_t Q, size_t V>
QUIPU_INLINE void dotTile(const PageQuery* queries, const Page<int8_t>& page, size_t firstKey, size_t first, size_t end,
                          size_t size, float (*to)[kPageKeys]) {
  dots16 sums[Q][V];
  const int8_t* codes[Q];
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) {
    const int32_t sumOfCodes = queries[i].codes.sums[first / kExactProducts];
#pragma GCC unroll 8
    for (size_t v = 0; v < V; ++v) sums[i][v] = dotsOf(-128 * sumOfCodes);
    codes[i] = queries[i].codes.codes;
  }
  for (size_t c = first; c < end; c += 4) {
    const int8_t* at = (c + 4 <= size ? page.keys + c * kPageKeys : page.lastCodes) + 4 * firstKey;
    codes16 keys[V];
#pragma GCC unroll 8
    for (size_t v = 0; v < V; ++v) keys[v] = loadCodes(at + 64 * v);
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; ++i) {
#pragma GCC unroll 8
      for (size_t v = 0; v < V; ++v) sums[i][v] = dot(sums[i][v], keys[v], codes[i] + c);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) {
#pragma GCC unroll 8
    for (size_t v = 0; v < V; ++v) store(to[i] + firstKey + 16 * v, totals(sums[i][v]));
  }
}

// The same of codes, whose products are whole numbers.
template <size_t Q>
QUIPU_INLINE void scoreCodes(const PageQuery* queries, const Page<int8_t>& page, size_t firstKey, size_t size,
                             float (*scores)[kPageKeys]) {
  constexpr size_t V = kTileVectors<Q>;
  dotTile<Q, V>(queries, page, firstKey, 0, size < kExactProducts ? size : kExactProducts, size, scores);
  for (size_t first = kExactProducts; first < size; first += kExactProducts) {
    alignas(64) float more[Q][kPageKeys];
    const size_t end = size - first < kExactProducts ? size : first + kExactProducts;
    dotTile<Q, V>(queries, page, firstKey, first, end, size, more);
    for (size_t i = 0; i < Q; ++i) {
      for (size_t key = firstKey; key < firstKey + 16 * V; key += 16) {
        store(scores[i] + key, add(load(scores[i] + key), load(more[i] + key)));
      }
    }
  }
  for (size_t key = firstKey; key < firstKey + 16 * V; key += 16) {
    const f32x16 keyScale = load(page.keyScales + key);
    for (size_t i = 0; i < Q; ++i) {
      store(scores[i] + key, mul(mul(load(scores[i] + key), keyScale), broadcast(queries[i].factor)));
    }
  }
}

// Of the sixteen things from `first` on those that are below `end`.
QUIPU_INLINE size_t lanesBelow(size_t end, size_t first) {
  if (end <= first) return 0;
  return end - first < 16 ? end - first : 16;
}

// exp(score − most).
QUIPU_INLINE f32x16 weightsOfScores(f32x16 scores, float most) { return expOfDifference(sub(scores, broadcast(most))); }

// The same of the first n scores, and 0 for the others, whose exp is not taken: to round to 0 by way of a denormal
// number is what processors need a hundred cycles for.
QUIPU_INLINE f32x16 weightsOfScores(f32x16 scores, float most, size_t n) {
  const f32x16 below = select(firstLanes(n), sub(scores, broadcast(most)), zero());
  return select(firstLanes(n), expOfDifference(below), zero());
}

// Turns the scores of `keys` keys into exp(score − maximum), 0 for those that a query does not see; kWhole: they are a
// page, and all queries see all of it. A step is done for all queries before the next one: they do not wait for each
// other.
template <size_t Q, bool kWhole>
QUIPU_INLINE void weighScoresOf(const PageQuery* queries, size_t keys, float (*scores)[kPageKeys], float (&maxima)[Q],
                                float (&sums)[Q]) {
  const auto seen = [&](size_t i, size_t key) { return kWhole ? size_t{16} : lanesBelow(queries[i].visible, key); };
  const f32x16 hidden = broadcast(-__builtin_inff());
  f32x16 greatest[Q], total[Q];
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) {
    greatest[i] = hidden;
    total[i] = zero();
  }
  for (size_t key = 0; key < keys; key += 16) {
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; ++i) {
      const f32x16 score = load(scores[i] + key);
      greatest[i] = max(kWhole ? score : select(firstLanes(seen(i, key)), score, hidden), greatest[i]);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) maxima[i] = maximum(greatest[i]);
  for (size_t key = 0; key < keys; key += 16) {
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; ++i) {
      const f32x16 score = load(scores[i] + key);
      const f32x16 weight =
          kWhole ? weightsOfScores(score, maxima[i]) : weightsOfScores(score, maxima[i], seen(i, key));
      total[i] = add(total[i], weight);
      store(scores[i] + key, weight);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) sums[i] = sum(total[i]);
}

// The same of whole vectors of keys that some query sees.
template <size_t Q>
QUIPU_INLINE void weighScores(const PageQuery* queries, float (*scores)[kPageKeys], float (&maxima)[Q],
                              float (&sums)[Q]) {
  size_t least = kPageKeys, most = 0;
  for (size_t i = 0; i < Q; ++i) {
    least = queries[i].visible < least ? queries[i].visible : least;
    most = queries[i].visible > most ? queries[i].visible : most;
  }
  if (least == kPageKeys) return weighScoresOf<Q, true>(queries, kPageKeys, scores, maxima, sums);
  weighScoresOf<Q, false>(queries, most, scores, maxima, sums);
}

// What the sums and the output of a query so far, and those of the next page, are multiplied by.
struct Factors {
  alignas(64) float lane[16];  // of query i: before i, and now 8 + i

  float before(size_t i) const { return lane[i]; }
  float now(size_t i) const { return lane[8 + i]; }
};

// Out of the maxima until now and those of the next page, which become the maxima of both.
template <size_t Q>
QUIPU_INLINE Factors factorsOf(float* (&maxima)[Q], const float (&next)[Q]) {
  Factors factors = {};
  for (size_t i = 0; i < Q; ++i) {
    const float greatest = *maxima[i] > next[i] ? *maxima[i] : next[i];
    factors.lane[i] = *maxima[i] - greatest;
    factors.lane[8 + i] = next[i] - greatest;
    *maxima[i] = greatest;
  }
  store(factors.lane, expOfDifference(load(factors.lane)));
  return factors;
}

QUIPU_INLINE float mergedSum(float before, float now, const Factors& factors, size_t i) {
  return __builtin_fmaf(before, factors.before(i), now * factors.now(i));
}

QUIPU_INLINE f32x16 mergedOut(f32x16 before, f32x16 now, const Factors& factors, size_t i) {
  return fma(before, broadcast(factors.before(i)), mul(now, broadcast(factors.now(i))));
}

// out[i][c] for the features of V vectors from `first`, the last of `last` lanes; keys in ascending order.
template <size_t Q, size_t V, bool kMerges, typename E>
QUIPU_INLINE void valueTile(PageQuery* queries, const Page<E>& page, const float (*weights)[kPageKeys],
                            const Factors& factors, size_t first, size_t last, size_t size) {
  f32x16 acc[Q][V];  // in registers, as all that it is reached by is unrolled
  size_t common = kPageKeys;
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) {
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) acc[i][v] = zero();
    if (queries[i].visible < common) common = queries[i].visible;
  }
  const auto row = [&](size_t j, size_t v) {
    const E* p = page.values + j * size + first + 16 * v;
    return v + 1 < V || last == 16 ? loadWide(p) : loadWidePart(p, last);
  };
  for (size_t j = 0; j < common; ++j) {
    f32x16 value[V];
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) value[v] = row(j, v);
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; ++i) {
      const f32x16 weight = broadcast(weights[i][j]);
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) acc[i][v] = fma(weight, value[v], acc[i][v]);
    }
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) {  // later rows of the tile see more keys
    for (size_t j = common; j < queries[i].visible; ++j) {
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) acc[i][v] = fma(broadcast(weights[i][j]), row(j, v), acc[i][v]);
    }
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) {
      float* out = queries[i].out + first + 16 * v;
      const size_t n = v + 1 < V ? 16 : last;
      if constexpr (kMerges) acc[i][v] = mergedOut(n < 16 ? loadPart(out, n) : load(out), acc[i][v], factors, i);
      if (n < 16) {
        storePart(out, acc[i][v], n);
      } else {
        store(out, acc[i][v]);
      }
    }
  }
}

template <size_t Q, bool kMerges, typename E>
QUIPU_INLINE void attendTile(PageQuery* queries, const Page<E>& page, size_t size) {
  constexpr size_t V = kTileVectors<Q>;
  alignas(64) float scores[Q][kPageKeys];
  size_t most = 0;
  for (size_t i = 0; i < Q; ++i) most = queries[i].visible > most ? queries[i].visible : most;
  for (size_t key = 0; key < most; key += 16 * V) {
    if constexpr (sizeof(E) > 1) {
      scoreTile<Q>(queries, page, key, size, scores);
    } else if constexpr (Q <= kDotQueries) {
      scoreCodes<Q>(queries, page, key, size, scores);
    } else {
      static_assert(Q - Q / 2 <= kDotQueries && Q / 2 > 1);
      scoreCodes<Q / 2>(queries, page, key, size, scores);
      scoreCodes<Q - Q / 2>(queries + Q / 2, page, key, size, scores + Q / 2);
    }
  }
  float maxima[Q], sums[Q];
  weighScores(queries, scores, maxima, sums);
  if constexpr (sizeof(E) == 1) {
    for (size_t v = 0; v < most; v += 16) {
      for (size_t i = 0; i < Q; ++i) store(scores[i] + v, mul(load(scores[i] + v), load(page.valueScales + v)));
    }
  }
  Factors factors = {};
  if constexpr (kMerges) {
    float* before[Q];
    for (size_t i = 0; i < Q; ++i) before[i] = &queries[i].maximum;
    factors = factorsOf(before, maxima);
    for (size_t i = 0; i < Q; ++i) queries[i].sum = mergedSum(queries[i].sum, sums[i], factors, i);
  } else {
    for (size_t i = 0; i < Q; ++i) {
      queries[i].maximum = maxima[i];
      queries[i].sum = sums[i];
    }
  }
  size_t c = 0;
  for (; c + 16 * V <= size; c += 16 * V) valueTile<Q, V, kMerges>(queries, page, scores, factors, c, 16, size);
  if constexpr (V > 3) {
    for (; c + 48 <= size; c += 48) valueTile<Q, 3, kMerges>(queries, page, scores, factors, c, 16, size);
    for (; c + 32 <= size; c += 32) valueTile<Q, 2, kMerges>(queries, page, scores, factors, c, 16, size);
  }
  for (; c < size; c += 16) {
    valueTile<Q, 1, kMerges>(queries, page, scores, factors, c, size - c < 16 ? size - c : 16, size);
  }
}

// Any number of queries against one page. Merging, maximum, sum and out are those of all pages so far; else the page's.
template <bool kMerges, typename E>
static void attendPage(PageQuery* queries, size_t count, const Page<E>& page, size_t size) {
  size_t i = 0;
  for (; i + kQueries <= count; i += kQueries) attendTile<kQueries, kMerges>(queries + i, page, size);
  if constexpr (kQueries > 4) {
    for (; i + 4 <= count; i += 4) attendTile<4, kMerges>(queries + i, page, size);
    for (; i + 3 <= count; i += 3) attendTile<3, kMerges>(queries + i, page, size);
  }
  for (; i < count; ++i) attendTile<1, kMerges>(queries + i, page, size);
}

// One page of attention: up to kQueries queries (heads of one key/value head, of adjacent rows) against up to 64 keys,
// all from scratch, in the order of docs/numerics.md. What comes out is the page's own maximum, sum and weighted
// values; pages are merged by attention.h.
//
// Keys lie across the lanes, so a score is one chain of fma over the head's features: broadcast q[c], load 16 keys, and
// the loads serve all queries. Values lie row by row, lanes across features: broadcast p[j], load the value row, again
// for all queries. Tiles fit the registers: on AVX-512 6 queries × 64 keys and 6 × 64 features.

static constexpr size_t kQueries = kWideRegisters >= 32 ? 6 : kWideRegisters >= 8 ? 2 : 1;  // of a tile
static constexpr size_t kTileVectors = kWideRegisters >= 32 ? 4 : 2;                        // f32x16 a query in a tile

QUIPU_INLINE f32x16 loadWide(const int8_t* p) { return widenI8(p); }
QUIPU_INLINE f32x16 loadWidePart(const int8_t* p, size_t n) { return widenI8Part(p, n); }

struct PageQuery {
  const float* q;    // [d]
  uint32_t visible;  // keys of the page that the query sees: 1 … 64
  float* out;        // [d] Σ p · value
  float maximum;     // of its scores
  float sum;         // of its exp(score − maximum)
};

// A page of one key/value head. The scales are null except for i8.
template <typename E>
struct Page {
  const E* keys;    // [d, 64]
  const E* values;  // [64, d]
  const float* keyScales;
  const float* valueScales;
};

// scores[i][key] for the keys of `kTileVectors` vectors from `firstKey`.
template <size_t Q, typename E>
QUIPU_INLINE void scoreTile(const PageQuery* queries, const Page<E>& page, size_t firstKey, size_t size, float scale,
                            float (*scores)[kPageKeys]) {
  f32x16 acc[Q][kTileVectors];
  for (size_t i = 0; i < Q; ++i) {
    for (size_t v = 0; v < kTileVectors; ++v) acc[i][v] = zero();
  }
  const E* keys = page.keys + firstKey;
  for (size_t c = 0; c < size; ++c, keys += kPageKeys) {
    f32x16 key[kTileVectors];
    for (size_t v = 0; v < kTileVectors; ++v) key[v] = loadWide(keys + 16 * v);
    for (size_t i = 0; i < Q; ++i) {
      const f32x16 q = broadcast(queries[i].q[c]);
      for (size_t v = 0; v < kTileVectors; ++v) acc[i][v] = fma(q, key[v], acc[i][v]);
    }
  }
  for (size_t v = 0; v < kTileVectors; ++v) {
    const size_t at = firstKey + 16 * v;
    for (size_t i = 0; i < Q; ++i) {
      f32x16 score = acc[i][v];
      if constexpr (sizeof(E) == 1) score = mul(score, load(page.keyScales + at));
      store(scores[i] + at, mul(score, broadcast(scale)));
    }
  }
}

// Turns a query's scores into exp(score − maximum), 0 for the keys it does not see.
QUIPU_INLINE void weighScores(PageQuery& query, float* scores) {
  const f32x16 hidden = broadcast(-__builtin_inff());
  f32x16 score[kPageKeys / 16], greatest = hidden;
  for (size_t v = 0; v < kPageKeys / 16; ++v) {
    const size_t n = query.visible > 16 * v ? query.visible - 16 * v : 0;
    score[v] = select(firstLanes(n < 16 ? n : 16), load(scores + 16 * v), hidden);
    greatest = max(score[v], greatest);
  }
  query.maximum = maximum(greatest);
  f32x16 total = zero();
  for (size_t v = 0; v < kPageKeys / 16; ++v) {
    const f32x16 weight = exp(sub(score[v], broadcast(query.maximum)));
    total = add(total, weight);
    store(scores + 16 * v, weight);
  }
  query.sum = sum(total);
}

// out[i][c] for the features of V vectors from `first`, the last of `last` lanes; keys in ascending order.
template <size_t Q, size_t V, typename E>
QUIPU_INLINE void valueTile(PageQuery* queries, const Page<E>& page, const float (*weights)[kPageKeys], size_t first,
                            size_t last, size_t size) {
  f32x16 acc[Q][V];
  size_t common = kPageKeys;
  for (size_t i = 0; i < Q; ++i) {
    for (size_t v = 0; v < V; ++v) acc[i][v] = zero();
    if (queries[i].visible < common) common = queries[i].visible;
  }
  const auto row = [&](size_t j, size_t v) {
    const E* p = page.values + j * size + first + 16 * v;
    return v + 1 < V || last == 16 ? loadWide(p) : loadWidePart(p, last);
  };
  for (size_t j = 0; j < common; ++j) {
    f32x16 value[V];
    for (size_t v = 0; v < V; ++v) value[v] = row(j, v);
    for (size_t i = 0; i < Q; ++i) {
      const f32x16 weight = broadcast(weights[i][j]);
      for (size_t v = 0; v < V; ++v) acc[i][v] = fma(weight, value[v], acc[i][v]);
    }
  }
  for (size_t i = 0; i < Q; ++i) {  // later rows of the tile see more keys
    for (size_t j = common; j < queries[i].visible; ++j) {
      for (size_t v = 0; v < V; ++v) acc[i][v] = fma(broadcast(weights[i][j]), row(j, v), acc[i][v]);
    }
    for (size_t v = 0; v < V; ++v) {
      storePart(queries[i].out + first + 16 * v, acc[i][v], v + 1 < V ? 16 : last);
    }
  }
}

template <size_t Q, typename E>
QUIPU_INLINE void attendTile(PageQuery* queries, const Page<E>& page, size_t size, float scale) {
  alignas(64) float scores[Q][kPageKeys];
  size_t most = 0;
  for (size_t i = 0; i < Q; ++i) most = queries[i].visible > most ? queries[i].visible : most;
  for (size_t key = 0; key < most; key += 16 * kTileVectors) scoreTile<Q>(queries, page, key, size, scale, scores);
  for (size_t i = 0; i < Q; ++i) {
    weighScores(queries[i], scores[i]);
    if constexpr (sizeof(E) == 1) {
      for (size_t v = 0; v < kPageKeys; v += 16) {
        store(scores[i] + v, mul(load(scores[i] + v), load(page.valueScales + v)));
      }
    }
  }
  size_t c = 0;
  for (; c + 16 * kTileVectors <= size; c += 16 * kTileVectors) {
    valueTile<Q, kTileVectors>(queries, page, scores, c, 16, size);
  }
  for (; c < size; c += 16) valueTile<Q, 1>(queries, page, scores, c, size - c < 16 ? size - c : 16, size);
}

// Any number of queries against one page.
template <typename E>
static void attendPage(PageQuery* queries, size_t count, const Page<E>& page, size_t size, float scale) {
  size_t i = 0;
  for (; i + kQueries <= count; i += kQueries) attendTile<kQueries>(queries + i, page, size, scale);
  if constexpr (kQueries > 3) {
    for (; i + 3 <= count; i += 3) attendTile<3>(queries + i, page, size, scale);
  }
  for (; i < count; ++i) attendTile<1>(queries + i, page, size, scale);
}

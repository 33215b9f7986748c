// What attention's gradients are made of, in tiles that fit the registers as those of attention_page.h do: products of
// rows and of keys whose rows lie across the lanes, and sums of rows by weights, each one chain of fma.

// Calls tile(first, count) for `count` things in tiles of sizes that there are kernels of.
template <typename Tile>
QUIPU_INLINE void eachTile(size_t count, Tile tile) {
  size_t i = 0;
  for (; i + kQueries <= count; i += kQueries) tile.template operator()<kQueries>(i);
  if constexpr (kQueries > 4) {
    for (; i + 4 <= count; i += 4) tile.template operator()<4>(i);
    for (; i + 3 <= count; i += 3) tile.template operator()<3>(i);
  }
  for (; i < count; ++i) tile.template operator()<1>(i);
}

// products[i · pitch + j] = Σ_c rows[i · width + c] · keys[c · keyPitch + j], c ascending in one chain, for j < count,
// and for more up to a whole tile.
template <size_t Q>
static void productTile(const float* rows, size_t width, const float* keys, size_t keyPitch, size_t count, size_t size,
                        float* products, size_t pitch) {
  constexpr size_t V = kTileVectors<Q>;
  for (size_t j = 0; j < count; j += 16 * V) {
    f32x16 acc[Q][V];
    for (size_t i = 0; i < Q; ++i) {
      for (size_t v = 0; v < V; ++v) acc[i][v] = zero();
    }
    const float* at = keys + j;
    for (size_t c = 0; c < size; ++c, at += keyPitch) {
      f32x16 key[V];
      for (size_t v = 0; v < V; ++v) key[v] = load(at + 16 * v);
      for (size_t i = 0; i < Q; ++i) {
        const f32x16 feature = broadcast(rows[i * width + c]);
        for (size_t v = 0; v < V; ++v) acc[i][v] = fma(feature, key[v], acc[i][v]);
      }
    }
    for (size_t i = 0; i < Q; ++i) {
      for (size_t v = 0; v < V; ++v) store(products + i * pitch + j + 16 * v, acc[i][v]);
    }
  }
}

// Weights of `Q` results: of result i and term j at weights[i · ofResult + j · ofTerm], for the terms begin[i] …
// end[i].
template <size_t Q>
struct Terms {
  const float* weights;
  size_t ofResult, ofTerm;
  size_t begin[Q], end[Q];
};

// out[i · outWidth + c] += Σ_j weight · rows[j · width + c], j ascending in one chain, for the features of V vectors
// from `first`, the last of `last` lanes, which are sixteen where it is whole.
template <size_t Q, size_t V, bool kWhole>
QUIPU_INLINE void mixFeatures(const Terms<Q>& terms, const float* rows, size_t width, size_t first, size_t last,
                              float* out, size_t outWidth) {
  f32x16 acc[Q][V];  // in registers, as all that it is reached by is unrolled
  size_t begin = 0, end = SIZE_MAX;
  const auto lanes = [&](size_t v) { return kWhole || v + 1 < V ? size_t{16} : last; };
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) {
    begin = terms.begin[i] > begin ? terms.begin[i] : begin;
    end = terms.end[i] < end ? terms.end[i] : end;
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) acc[i][v] = loadFirst(out + i * outWidth + first + 16 * v, lanes(v));
  }
  const auto alone = [&](size_t i, size_t from, size_t to) {
    for (size_t j = from; j < to; ++j) {
      const f32x16 weight = broadcast(terms.weights[i * terms.ofResult + j * terms.ofTerm]);
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) {
        acc[i][v] = fma(weight, loadFirst(rows + j * width + first + 16 * v, lanes(v)), acc[i][v]);
      }
    }
  };
  if (begin >= end) {  // they have no terms in common
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; ++i) alone(i, terms.begin[i], terms.end[i]);
  } else {
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; ++i) alone(i, terms.begin[i], begin);
    for (size_t j = begin; j < end; ++j) {
      f32x16 row[V];
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) row[v] = loadFirst(rows + j * width + first + 16 * v, lanes(v));
#pragma GCC unroll 8
      for (size_t i = 0; i < Q; ++i) {
        const f32x16 weight = broadcast(terms.weights[i * terms.ofResult + j * terms.ofTerm]);
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) acc[i][v] = fma(weight, row[v], acc[i][v]);
      }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < Q; ++i) alone(i, end, terms.end[i]);
  }
#pragma GCC unroll 8
  for (size_t i = 0; i < Q; ++i) {
#pragma GCC unroll 4
    for (size_t v = 0; v < V; ++v) storeFirst(out + i * outWidth + first + 16 * v, acc[i][v], lanes(v));
  }
}

template <size_t Q>
static void mixTile(const Terms<Q>& terms, const float* rows, size_t width, size_t size, float* out, size_t outWidth) {
  constexpr size_t V = kTileVectors<Q>;
  size_t c = 0;
  for (; c + 16 * V <= size; c += 16 * V) mixFeatures<Q, V, true>(terms, rows, width, c, 16, out, outWidth);
  if constexpr (V > 3) {
    for (; c + 48 <= size; c += 48) mixFeatures<Q, 3, true>(terms, rows, width, c, 16, out, outWidth);
    for (; c + 32 <= size; c += 32) mixFeatures<Q, 2, true>(terms, rows, width, c, 16, out, outWidth);
  }
  for (; c + 16 <= size; c += 16) mixFeatures<Q, 1, true>(terms, rows, width, c, 16, out, outWidth);
  if (c < size) mixFeatures<Q, 1, false>(terms, rows, width, c, size - c, out, outWidth);
}

// Of heads of few features (attention_across.h) results lie across the lanes in place of features.
static constexpr size_t kVectorsAcross = kWideRegisters >= 32 ? 4 : 1;
static_assert(kQueries == 1 || kVectorsAcross == kTileVectors<kQueries>);

// out[c · outPitch + i] += Σ_j weights[j · pitch + i] · rows[j · width + c], j ascending in one chain, for c < size and
// the results i of a tile of kVectorsAcross vectors: of them term j has those below j + 1 + `ahead`, all from `whole`
// on.
static void mixAcross(const float* weights, size_t pitch, const float* rows, size_t width, size_t size, size_t begin,
                      size_t whole, size_t end, ptrdiff_t ahead, float* out, size_t outPitch) {
  constexpr size_t V = kVectorsAcross, F = kFeaturesAcross;
  for (size_t c = 0; c < size; c += F) {
    f32x16 acc[F][V];
#pragma GCC unroll 4
    for (size_t f = 0; f < F; ++f) {
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) acc[f][v] = load(out + (c + f) * outPitch + 16 * v);
    }
    for (size_t j = begin; j < whole; ++j) {
      const size_t seen = size_t(ptrdiff_t(j) + 1 + ahead);
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) {
        const size_t n = lanesBelow(seen, 16 * v);
        if (n == 0) break;
        const m16 lanes = firstLanes(n);
        const f32x16 weight = load(weights + j * pitch + 16 * v);
#pragma GCC unroll 4
        for (size_t f = 0; f < F; ++f) {
          acc[f][v] = select(lanes, fma(broadcast(rows[j * width + c + f]), weight, acc[f][v]), acc[f][v]);
        }
      }
    }
    for (size_t j = whole; j < end; ++j) {
      f32x16 weight[V];
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) weight[v] = load(weights + j * pitch + 16 * v);
#pragma GCC unroll 4
      for (size_t f = 0; f < F; ++f) {
        const f32x16 feature = broadcast(rows[j * width + c + f]);
#pragma GCC unroll 4
        for (size_t v = 0; v < V; ++v) acc[f][v] = fma(feature, weight[v], acc[f][v]);
      }
    }
#pragma GCC unroll 4
    for (size_t f = 0; f < F; ++f) {
#pragma GCC unroll 4
      for (size_t v = 0; v < V; ++v) store(out + (c + f) * outPitch + 16 * v, acc[f][v]);
    }
  }
}

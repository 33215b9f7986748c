// A warp's sixteen rows of queries, heads of one key/value head, against pages of an f16 cache, on tensor cores.
//
// Keys lie [d, 64]: a lane takes eight keys of a feature and of the next, and pairs them up in registers, so that a
// tile's column n of mma j is key 8n + j, and no transposing load is needed: every load of a warp is of whole lines.
// Values lie [64, d]: likewise, dims 8n + j of the keys that the scores' places have. Lane l stands for rows l / 4 and
// l / 4 + 8. A page is a type with `keys(c, group)`, eight keys of feature c, `values(key, group)`, eight dims of a
// key, 64 and more where a head has more, and `await…()` before either.
#pragma once

#include "cuda/kernels/attention_chunk.h"

namespace quipu::cuda {

// Pairs of the same place in two rows of eight: pairs[j] is {first[j], second[j]}.
__device__ __forceinline__ void pairUp(const uint4& first, const uint4& second, uint32_t (&pairs)[8]) {
  const uint32_t a[4] = {first.x, first.y, first.z, first.w}, b[4] = {second.x, second.y, second.z, second.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    pairs[2 * i] = __byte_perm(a[i], b[i], 0x5410);
    pairs[2 * i + 1] = __byte_perm(a[i], b[i], 0x7632);
  }
}

struct Fragment {
  uint32_t words[4];
};

// The queries of a tile, d / 16 fragments.
template <int kSize>
struct TileQueries {
  Fragment fragments[kSize / 16];

  __device__ __forceinline__ const Fragment& at(uint32_t step) const { return fragments[step]; }

  // `low` and `high`: the queries of the lane's two rows; null: zeros.
  __device__ __forceinline__ void load(const float* low, const float* high, uint32_t lane) {
    const auto pairAt = [](const float* row, uint32_t c) { return row == nullptr ? 0u : halfPair(row[c], row[c + 1]); };
#pragma unroll
    for (int step = 0; step < kSize / 16; ++step) {
      const uint32_t c = uint32_t(step) * 16 + lane % 4 * 2;
      fragments[step].words[0] = pairAt(low, c);
      fragments[step].words[1] = pairAt(high, c);
      fragments[step].words[2] = pairAt(low, c + 8);
      fragments[step].words[3] = pairAt(high, c + 8);
    }
  }
};

// The same in shared memory, where they would take registers that there are not: each lane its own, 16 bytes a step.
template <int kSize>
struct StoredQueries {
  using Room = uint4[kSize / 16][kWarp];

  uint4* own;

  __device__ __forceinline__ StoredQueries(Room& room, const TileQueries<kSize>& queries, uint32_t lane)
      : own(&room[0][lane]) {
#pragma unroll
    for (uint32_t step = 0; step < kSize / 16; ++step) {
      const auto& words = queries.at(step).words;
      own[step * kWarp] = {words[0], words[1], words[2], words[3]};
    }
  }
  __device__ __forceinline__ Fragment at(uint32_t step) const {
    const uint4 words = own[step * kWarp];
    return {{words.x, words.y, words.z, words.w}};
  }
};

// What some keys give a tile: of two rows a lane, sums of kDims / 8 mma.
template <int kDims>
struct TileSums {
  Mass low, high;
  float sums[kDims / 8][4] = {};

  // Another's, of keys that come after.
  __device__ __forceinline__ void merge(const TileSums& next) {
    const Factors byLow = join(low, next.low), byHigh = join(high, next.high);
#pragma unroll
    for (int j = 0; j < kDims / 8; ++j) {
      sums[j][0] = fmaf(sums[j][0], byLow.before, next.sums[j][0] * byLow.next);
      sums[j][1] = fmaf(sums[j][1], byLow.before, next.sums[j][1] * byLow.next);
      sums[j][2] = fmaf(sums[j][2], byHigh.before, next.sums[j][2] * byHigh.next);
      sums[j][3] = fmaf(sums[j][3], byHigh.before, next.sums[j][3] * byHigh.next);
    }
  }
};

// One value of the four lanes of a row.
template <typename Combine>
__device__ __forceinline__ float ofRow(float value, Combine combine) {
  value = combine(value, __shfl_xor_sync(kEveryLane, value, 1));
  return combine(value, __shfl_xor_sync(kEveryLane, value, 2));
}

// A page of one key/value head in the device's memory.
template <int kSize>
struct PageInMemory {
  const uint16_t *keyBits, *valueBits;

  __device__ __forceinline__ uint4 keys(uint32_t c, uint32_t group) const {
    return *reinterpret_cast<const uint4*>(keyBits + c * kPageKeys + group * 8);
  }
  __device__ __forceinline__ uint4 values(uint32_t key, uint32_t group) const {
    return *reinterpret_cast<const uint4*>(valueBits + key * kSize + group * 8);
  }
  __device__ __forceinline__ void awaitKeys() const {}
  __device__ __forceinline__ void keysDone() const {}
  __device__ __forceinline__ void awaitValues() const {}
};

// One in shared memory, copied there by a warp. Pieces of 16 bytes change places in their row, so that the eight that a
// quarter of the warp takes at a time lie in all banks. Values have room of their own where a head has 64 features,
// else they come when the keys are done with.
template <int kSize>
struct StagedPage {
  static constexpr bool kBoth = kSize == 64;
  static constexpr uint32_t kPart = kSize * kPageKeys * 2, kBytes = kBoth ? 2 * kPart : kPart;

  std::byte* slot;
  const uint16_t* valueBits;
  uint32_t lane;

  __device__ __forceinline__ StagedPage(std::byte* slot, const uint16_t* keyBits, const uint16_t* valueBits,
                                        uint32_t lane)
      : slot(slot), valueBits(valueBits), lane(lane) {
#pragma unroll
    for (uint32_t i = 0; i < kSize * 8 / kWarp; ++i) {
      const uint32_t piece = i * kWarp + lane;
      copyAsync16(keyAt(piece / 8, piece % 8), keyBits + piece * 8, true);
    }
    copyAsyncCommit();
    if (kBoth) fetchValues();
  }
  __device__ __forceinline__ void fetchValues() const {
#pragma unroll
    for (uint32_t i = 0; i < kSize * 8 / kWarp; ++i) {
      const uint32_t piece = i * kWarp + lane, inRow = kSize / 8;
      copyAsync16(valueAt(piece / inRow, piece % inRow), valueBits + piece * 8, true);
    }
    copyAsyncCommit();
  }
  __device__ __forceinline__ std::byte* keyAt(uint32_t c, uint32_t group) const {
    return slot + (c * 8 + (group ^ (c / 2 % 4 * 2))) * 16;
  }
  __device__ __forceinline__ std::byte* valueAt(uint32_t key, uint32_t group) const {
    return slot + (kBoth ? kPart : 0) + (key * (kSize / 8) + (group ^ (key / 16 % 4 * 2))) * 16;
  }
  __device__ __forceinline__ uint4 keys(uint32_t c, uint32_t group) const {
    return *reinterpret_cast<const uint4*>(keyAt(c, group));
  }
  __device__ __forceinline__ uint4 values(uint32_t key, uint32_t group) const {
    return *reinterpret_cast<const uint4*>(valueAt(key, group));
  }
  __device__ __forceinline__ void awaitKeys() const {
    copyAsyncWait<kBoth ? 1 : 0>();
    __syncwarp();
  }
  // All lanes have taken what they need of the keys.
  __device__ __forceinline__ void keysDone() const {
    if (kBoth) return;
    __syncwarp();
    fetchValues();
  }
  __device__ __forceinline__ void awaitValues() const {
    copyAsyncWait<0>();
    __syncwarp();
  }
};

// What a page gives: keys [d, 64] and values [64, d] of one key/value head, of which dims from kDims · part on. The
// rows see its first visibleLow and visibleHigh keys, ≤ 64, of which there may be none; no row sees more than
// `visible`.
template <int kSize, int kDims, typename Queries, typename Page>
__device__ __forceinline__ TileSums<kDims> sumsOfPage(const Queries& queries, const Page& page, uint32_t part,
                                                      int32_t visibleLow, int32_t visibleHigh, int32_t visible,
                                                      float scale, uint32_t lane) {
  const uint32_t group = lane / 4, quad = lane % 4;
  float scores[8][4] = {};
  page.awaitKeys();
#pragma unroll
  for (uint32_t step = 0; step < kSize / 16; ++step) {
    const auto rowAt = [&](uint32_t c) { return page.keys(step * 16 + quad * 2 + c, group); };
    uint32_t first[8], second[8];
    pairUp(rowAt(0), rowAt(1), first);
    pairUp(rowAt(8), rowAt(9), second);
    const Fragment query = queries.at(step);
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const uint32_t b[2] = {first[j], second[j]};
      mmaHalf(scores[j], query.words, b);
    }
  }
  page.keysDone();
  TileSums<kDims> tile;
  // Column n of mma j is key 8n + j; the lane has columns 2 · quad and 2 · quad + 1.
  const auto larger = [](float a, float b) { return b > a ? b : a; };  // drops a NaN, whose own weight shows it
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const auto first = int32_t(quad * 16) + j, second = first + 8;
    scores[j][0] = first < visibleLow ? scores[j][0] * scale : kMinusInfinity;
    scores[j][1] = second < visibleLow ? scores[j][1] * scale : kMinusInfinity;
    scores[j][2] = first < visibleHigh ? scores[j][2] * scale : kMinusInfinity;
    scores[j][3] = second < visibleHigh ? scores[j][3] * scale : kMinusInfinity;
    tile.low.greatest = larger(larger(tile.low.greatest, scores[j][0]), scores[j][1]);
    tile.high.greatest = larger(larger(tile.high.greatest, scores[j][2]), scores[j][3]);
  }
  tile.low.greatest = ofRow(tile.low.greatest, larger);
  tile.high.greatest = ofRow(tile.high.greatest, larger);
  // A row that sees no key: its scores are −∞, and less than 0 stays so.
  const float baseLow = tile.low.greatest == kMinusInfinity ? 0.0f : tile.low.greatest;
  const float baseHigh = tile.high.greatest == kMinusInfinity ? 0.0f : tile.high.greatest;
  uint32_t weights[8][2];
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    const float a = powerOfTwo(scores[j][0] - baseLow), b = powerOfTwo(scores[j][1] - baseLow);
    const float c = powerOfTwo(scores[j][2] - baseHigh), d = powerOfTwo(scores[j][3] - baseHigh);
    tile.low.sum += a + b;
    tile.high.sum += c + d;
    weights[j][0] = halfPair(a, b);
    weights[j][1] = halfPair(c, d);
  }
  tile.low.sum = ofRow(tile.low.sum, Add());
  tile.high.sum = ofRow(tile.high.sum, Add());
  page.awaitValues();
#pragma unroll
  for (uint32_t step = 0; step < 4; ++step) {
    // Places 2 · quad and + 1 of the step are keys 16 · quad + 2 · step and 8 more, those from 8 on the keys after
    // them.
    const uint32_t key = quad * 16 + step * 2;
    const uint32_t a[4] = {weights[2 * step][0], weights[2 * step][1], weights[2 * step + 1][0],
                           weights[2 * step + 1][1]};
#pragma unroll
    for (uint32_t in = 0; in < kDims / 64; ++in) {
      const auto rowAt = [&](uint32_t at) -> uint4 {
        // What no row sees is whatever was there: a weight of 0 would not hide an infinity.
        if (int32_t(at) >= visible) return {0, 0, 0, 0};
        return page.values(at, part * (kDims / 8) + in * 8 + group);
      };
      uint32_t first[8], second[8];
      pairUp(rowAt(key), rowAt(key + 8), first);
      pairUp(rowAt(key + 1), rowAt(key + 9), second);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const uint32_t b[2] = {first[j], second[j]};
        mmaHalf(tile.sums[in * 8 + uint32_t(j)], a, b);
      }
    }
  }
  return tile;
}

// Calls visit(c, low, high) for the features of the lane, a pair of neighbours in n: columns 2 · quad and + 1 of mma j
// are dims 64 · part + 8 · column + j.
template <int kDims, typename Visit>
__device__ __forceinline__ void forEachSum(const TileSums<kDims>& tile, uint32_t lane, Visit visit) {
#pragma unroll
  for (uint32_t j = 0; j < kDims / 8; ++j) {
    const uint32_t c = j / 8 * 64 + lane % 4 * 16 + j % 8;
    visit(c, tile.sums[j][0], tile.sums[j][2]);
    visit(c + 8, tile.sums[j][1], tile.sums[j][3]);
  }
}

}  // namespace quipu::cuda

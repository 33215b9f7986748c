// A row of logits: its greatest, penalties and biases on it, and what is drawn from it, by a block.
#pragma once

#include "cuda/kernels/ranking.h"

namespace quipu::cuda {

// What a row's blocks of 512 logits come to: of each the greatest (NaN if one of them is), the least and Σ exp(logit −
// the row's greatest).
struct RowBlocks {
  float *greatest, *least, *sums;
};

__host__ __device__ inline uint32_t sampleBlocks(uint32_t vocabulary) {
  return (vocabulary + kSampleBlock - 1) / kSampleBlock;
}

// The same of the whole row.
struct Extent {
  float greatest, least;
};

struct MostOrNan {
  __device__ float operator()(float a, float b) const { return a > b || a != a ? a : b; }
};
struct Fewest {
  __device__ float operator()(float a, float b) const { return a < b ? a : b; }
};

// Block `block` of a row's, by a warp: its greatest and least.
__device__ inline void scanBlock(const float* logits, uint32_t count, uint32_t block, const RowBlocks& to) {
  const uint32_t lane = threadIdx.x % kWarp, first = block * kSampleBlock;
  float greatest = logits[first], least = greatest;
#pragma unroll
  for (uint32_t i = 0; i < kSampleBlock / kWarp; ++i) {
    const uint32_t id = first + i * kWarp + lane;
    const float logit = logits[id < count ? id : first];
    greatest = MostOrNan()(greatest, logit);
    least = Fewest()(logit, least);
  }
  greatest = ofWarp(greatest, MostOrNan());
  least = ofWarp(least, Fewest());
  if (lane != 0) return;
  to.greatest[block] = greatest;
  to.least[block] = least;
}

// Σ exp(logit − greatest) of a block: sixteen lanes, then by halving, as the CPU adds. Half a warp; both halves call.
__device__ inline void sumBlock(const float* logits, uint32_t count, uint32_t block, float greatest,
                                const RowBlocks& to) {
  const uint32_t lane = threadIdx.x % 16;
  float sum = 0;
#pragma unroll 8
  for (uint32_t i = 0; i < kSampleBlock; i += 16) {
    const uint32_t id = block * kSampleBlock + i + lane;
    sum += id < count ? exponential(logits[id] - greatest) : 0.0f;
  }
  for (uint32_t apart = 8; apart > 0; apart /= 2) sum += __shfl_xor_sync(kEveryLane, sum, int(apart));
  if (lane == 0 && block < sampleBlocks(count)) to.sums[block] = sum;
}

// Of blocks that have been scanned.
__device__ inline Extent extentOf(const RowBlocks& blocks, uint32_t count, RankScratch& scratch) {
  float greatest = blocks.greatest[0], least = blocks.least[0];
  for (uint32_t block = threadIdx.x; block < sampleBlocks(count); block += kSampleThreads) {
    greatest = MostOrNan()(greatest, blocks.greatest[block]);
    least = Fewest()(blocks.least[block], least);
  }
  greatest = ofSampleBlock(greatest, scratch, MostOrNan());
  return {greatest, ofSampleBlock(least, scratch, Fewest())};
}

// log of x ≥ 1 by the CPU's steps (native/cpu/kernels/weights.h).
__device__ inline double logarithm(double x) {
  const auto bits = static_cast<unsigned long long>(__double_as_longlong(x));
  long long exponent = static_cast<long long>(bits >> 52) - 1023;
  double m = __longlong_as_double(static_cast<long long>((bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull));
  if (m > 0x1.6a09e667f3bcdp+0) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 1.0 / 23;
  for (int n = 21; n >= 1; n -= 2) series = fma(series, z, 1.0 / n);
  return fma(static_cast<double>(exponent), 0x1.62e42fefa39efp-1, 2 * s * series);
}

// log Σ exp(logit − greatest): the blocks in f64, in ascending order.
__device__ inline double logOfSum(const RowBlocks& blocks, uint32_t count) {
  double total = 0;
#pragma unroll 8
  for (uint32_t block = 0; block < sampleBlocks(count); ++block) total += double(blocks.sums[block]);
  return logarithm(total);
}

// The smallest id of the greatest logit, by the first block that has it.
__device__ inline uint32_t bestOf(const float* logits, const RowBlocks& blocks, uint32_t count, float greatest,
                                  RankScratch& scratch) {
  uint32_t first = sampleBlocks(count);
  for (uint32_t block = threadIdx.x; block < sampleBlocks(count); block += kSampleThreads) {
    if (blocks.greatest[block] == greatest && block < first) first = block;
  }
  first = ofSampleBlock(first, scratch, Least());
  const uint32_t id = first * kSampleBlock + threadIdx.x;
  const bool hit = threadIdx.x < kSampleBlock && id < count && logits[id] == greatest;
  return ofSampleBlock(hit ? id : count - 1, scratch, Least());
}

struct SampleRow {
  const int32_t* history;  // by position
  const float* floats;
  const int32_t* ints;
  const int32_t* biasIds;
  const float* biases;
  uint32_t biasCount, position, vocabulary;

  __device__ bool penalizes() const {
    return floats[sample::kRepeatPenalty] != 1.0f || floats[sample::kPresencePenalty] != 0.0f ||
           floats[sample::kFrequencyPenalty] != 0.0f;
  }
  __device__ bool hasBiases() const { return biasCount > 0 && biasIds[0] >= 0; }
};

// Penalties, then biases, on a row that the block has just written: either has a barrier before it changes a logit.
__device__ inline void penalize(const SampleRow& row, float* logits, uint32_t* counts, RankScratch& scratch) {
  constexpr uint32_t kSeen = 0x80000000;  // beside the count of its places in the completion
  const float repeat = row.floats[sample::kRepeatPenalty], presence = row.floats[sample::kPresencePenalty];
  const float frequency = row.floats[sample::kFrequencyPenalty];
  if (row.penalizes()) {
    const auto forEach = [&](auto visit) {
      for (uint32_t p = threadIdx.x; p <= row.position; p += kSampleThreads) {
        if (const auto id = uint32_t(row.history[p]); id < row.vocabulary) visit(p, id);
      }
      __syncthreads();
    };
    // By all places of an id at once, all with 0: volatile, as plain writes would race.
    forEach([&](uint32_t, uint32_t id) { const_cast<volatile uint32_t&>(counts[id]) = 0; });
    forEach([&](uint32_t p, uint32_t id) {
      atomicOr(&counts[id], kSeen);
      if (int64_t(p) >= row.ints[sample::kPromptLength]) atomicAdd(&counts[id], 1u);
    });
    forEach([&](uint32_t, uint32_t id) {
      const uint32_t places = atomicExch(&counts[id], 0u);  // once for all its places
      if (places == 0) return;
      float& logit = logits[id];
      logit = logit > 0 ? logit / repeat : logit * repeat;
      const uint32_t count = places & ~kSeen;
      if (count > 0) logit = logit - float(count) * frequency - presence;
    });
  }
  // A thousand at a time; of one id that is there several times the first adds all, in order.
  auto* ids = reinterpret_cast<int32_t*>(scratch.bins);
  bool ended = false;
  for (uint32_t from = 0; from < row.biasCount && !ended; from += kSampleThreads) {
    const uint32_t here = row.biasCount - from < kSampleThreads ? row.biasCount - from : kSampleThreads;
    __syncthreads();
    if (threadIdx.x == 0) scratch.counter = here;
    ids[threadIdx.x] = threadIdx.x < here ? row.biasIds[from + threadIdx.x] : -1;
    __syncthreads();
    if (threadIdx.x < here && ids[threadIdx.x] < 0) atomicMin(&scratch.counter, threadIdx.x);  // −1 ends them
    __syncthreads();
    const uint32_t valid = scratch.counter;
    ended = valid < here;
    if (threadIdx.x >= valid || uint32_t(ids[threadIdx.x]) >= row.vocabulary) continue;
    const int32_t id = ids[threadIdx.x];
    bool first = true;
    for (uint32_t i = 0; i < threadIdx.x && first; ++i) first = ids[i] != id;
    if (!first) continue;
    float logit = logits[id];
    for (uint32_t i = threadIdx.x; i < valid; ++i) {
      if (ids[i] != id) continue;
      const float biased = logit + row.biases[from + i];
      logit = biased == biased ? biased : -__builtin_huge_valf();  // −∞ + ∞: forbidden stays forbidden
    }
    logits[id] = logit;
  }
  __syncthreads();
}

// The first whole number that is at least p · total; at least 1. p < 1.
__device__ inline unsigned long long shareOf(float p, unsigned long long total) {
  if (!(p > 0)) return 1;
  const uint32_t bits = __float_as_uint(p), exponent = bits >> 23, fraction = bits & 0x7FFFFF;
  // p = mantissa · 2^−shift
  const uint32_t mantissa = exponent == 0 ? fraction : fraction | 0x800000;
  const uint32_t shift = exponent == 0 ? 149 : 150 - exponent;
  if (shift > 87) return 1;  // mantissa · total < 2⁸⁷
  const auto product = static_cast<unsigned __int128>(mantissa) * total;
  const auto share =
      static_cast<unsigned long long>((product + ((static_cast<unsigned __int128>(1) << shift) - 1)) >> shift);
  return share < 1 ? 1 : share;
}

// A logit that no id lies below whose weight counts more than `count`.
__device__ inline float leastLogitOf(const Ranked& ranked, float least, unsigned long long count) {
  const double share = (count > 0 ? double(count) : 0.5) / double(ranked.scale);
  const double logit = double(ranked.greatest) - double(ranked.temperature) * (logarithm(1 / share) + 0.01);
  return logit > double(least) ? float(logit) : least;
}

// The cut after the k greatest.
__device__ inline Cut cutOfBest(const Ranked& ranked, const RowBlocks& blocks, const Extent& extent, float least,
                                uint32_t k, RankScratch& scratch) {
  Ranked ones = ranked;
  ones.weighted = false;
  if (const uint32_t there = sampleBlocks(ones.count); k <= there) {
    const Ranked greatest = {blocks.greatest, there, false, 0, 1, 1};  // k of them reach the k-th of the blocks'
    const float reached = findCut(greatest, extent.least, extent.greatest, k, scratch).logit;
    least = reached > least ? reached : least;
  }
  return findCut(ones, least, extent.greatest, k, scratch);
}

struct Kept {
  Cut cut;
  float least;  // weight
  __device__ unsigned long long countsOf(const Ranked& ranked, uint32_t id) const {
    const float logit = ranked.logits[id], weight = ranked.weightOf(logit);
    return cut.keeps(logit, id) && weight >= least ? __float2ull_rn(weight * ranked.scale) : 0ull;
  }
};

// What the kept ids of each block of 512 count together, a warp a block. Returns the sum.
__device__ inline unsigned long long weighKept(const Ranked& ranked, const Kept& kept, unsigned long long* masses,
                                               RankScratch& scratch) {
  const uint32_t blocks = (ranked.count + kSampleBlock - 1) / kSampleBlock, lane = threadIdx.x % kWarp;
  unsigned long long total = 0;
  for (uint32_t block = threadIdx.x / kWarp; block < blocks; block += kSampleThreads / kWarp) {
    unsigned long long mass = 0;
    for (uint32_t i = lane; i < kSampleBlock; i += kWarp) {
      const uint32_t id = block * kSampleBlock + i;
      if (id < ranked.count) mass += kept.countsOf(ranked, id);
    }
    for (uint32_t apart = kWarp / 2; apart > 0; apart /= 2) mass += __shfl_xor_sync(kEveryLane, mass, int(apart));
    if (lane == 0) masses[block] = mass;
    total += lane == 0 ? mass : 0;
  }
  return ofSampleBlock(total, scratch, AddWords());
}

// 53 bits for `position` of the request with this seed: Philox 4x32-10 (Salmon et al., SC 2011).
__device__ inline unsigned long long randomBits(uint32_t key0, uint32_t key1, uint32_t position) {
  uint32_t counter[4] = {position, 0, 0, 0};
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(0xD2511F53u, counter[0]), low0 = 0xD2511F53u * counter[0];
    const uint32_t high1 = __umulhi(0xCD9E8D57u, counter[2]), low1 = 0xCD9E8D57u * counter[2];
    const uint32_t next[4] = {high1 ^ counter[1] ^ key0, low1, high0 ^ counter[3] ^ key1, low0};
    for (int i = 0; i < 4; ++i) counter[i] = next[i];
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return static_cast<unsigned long long>(counter[0] >> 5) << 26 | counter[1] >> 6;
}

// The first kept id at which the running sum exceeds `target`, which the sum of all does.
__device__ inline uint32_t pickAt(const Ranked& ranked, const Kept& kept, const unsigned long long* masses,
                                  unsigned long long target, RankScratch& scratch) {
  if (threadIdx.x < kWarp) {
    uint32_t block = 0;
    for (; target >= masses[block]; ++block) target -= masses[block];
    constexpr uint32_t kEach = kSampleBlock / kWarp;
    const uint32_t first = block * kSampleBlock + threadIdx.x * kEach;
    unsigned long long own = 0;
    for (uint32_t i = 0; i < kEach; ++i) own += first + i < ranked.count ? kept.countsOf(ranked, first + i) : 0ull;
    unsigned long long upTo = own;
    for (uint32_t apart = 1; apart < kWarp; apart *= 2) {
      const unsigned long long other = __shfl_up_sync(kEveryLane, upTo, apart);
      if (threadIdx.x >= apart) upTo += other;
    }
    const uint32_t above = __ballot_sync(kEveryLane, upTo > target);
    if (threadIdx.x == uint32_t(__ffs(int(above))) - 1) {
      unsigned long long left = target - (upTo - own);
      uint32_t id = first;
      for (unsigned long long counts; left >= (counts = kept.countsOf(ranked, id)); ++id) left -= counts;
      scratch.bin = id;
    }
  }
  __syncthreads();
  return scratch.bin;
}

// Draws from what top-k, top-p and min-p keep.
__device__ inline uint32_t draw(const SampleRow& row, const float* logits, const RowBlocks& blocks,
                                const Extent& extent, unsigned long long* masses, RankScratch& scratch) {
  const float topP = row.floats[sample::kTopP], minP = row.floats[sample::kMinP];
  const auto topK = uint32_t(row.ints[sample::kTopK] > 0 ? row.ints[sample::kTopK] : 0);
  const int bits = 32 - __clz(int(row.vocabulary)), k = 63 - bits < 51 ? 63 - bits : 51;
  const Ranked ranked = {logits,          row.vocabulary, true, extent.greatest, row.floats[sample::kTemperature],
                         float(1ull << k)};
  Kept kept = {{-__builtin_huge_valf(), row.vocabulary - 1}, 0};
  const bool cut = topK > 0 && topK < row.vocabulary;
  if (cut) kept.cut = cutOfBest(ranked, blocks, extent, leastLogitOf(ranked, extent.least, 0), topK, scratch);
  unsigned long long total = weighKept(ranked, kept, masses, scratch);
  if (topP < 1) {
    const unsigned long long need = shareOf(topP, total);
    // Those that count no more than this do not make up together for what the run may lack.
    const float least = leastLogitOf(ranked, extent.least, (total - need) / row.vocabulary);
    kept.cut = findCut(ranked, least > kept.cut.logit ? least : kept.cut.logit, extent.greatest, need, scratch);
  }
  if (minP > 0) kept.least = minP < 1 ? minP : 1;  // the greatest always stays
  if (topP < 1 || minP > 0) total = weighKept(ranked, kept, masses, scratch);
  const unsigned long long random =
      randomBits(uint32_t(row.ints[sample::kSeedLow]), uint32_t(row.ints[sample::kSeedHigh]), row.position);
  const auto target = static_cast<unsigned long long>(static_cast<unsigned __int128>(random) * total >> 53);
  return pickAt(ranked, kept, masses, target, scratch);
}

}  // namespace quipu::cuda

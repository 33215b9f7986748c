// The ranking of a vocabulary, by descending logit, equal logits by ascending id, and where it is cut, by a block: the
// sets of docs/numerics.md (sample), which do not depend on how they are found.
#pragma once

#include "cuda/kernels/elements.h"

namespace quipu::cuda {

constexpr uint32_t kSampleThreads = 1024, kSampleBlock = 512;
constexpr uint32_t kBinBits = 11, kBins = 1u << kBinBits;

// A logit as a number in the same order. +0 and −0 are equal; NaN has no place.
__device__ __forceinline__ uint32_t keyOf(float logit) {
  const uint32_t bits = __float_as_uint(logit);
  return (bits & 0x80000000u) != 0 ? 0u - bits : bits ^ 0x80000000u;
}

__device__ __forceinline__ float logitOf(uint32_t key) {
  return __uint_as_float((key & 0x80000000u) != 0 ? key ^ 0x80000000u : 0u - key);
}

// A beginning of the ranking: all logits above this one, and those equal to it up to the id `last`.
struct Cut {
  float logit;
  uint32_t last;
  __device__ bool keeps(float other, uint32_t id) const { return other > logit || (other == logit && id <= last); }
};

// What is ranked, and by what an id counts: 1, or the weight of its logit to the nearest whole number.
struct Ranked {
  const float* logits;
  uint32_t count;
  bool weighted;
  float greatest, temperature, scale;

  __device__ float weightOf(float logit) const { return exponential((logit - greatest) / temperature); }
  __device__ unsigned long long countsOf(float logit) const {
    return weighted ? __float2ull_rn(weightOf(logit) * scale) : 1ull;
  }
};

// A block's memory for all this. Bins are free at the end of whatever uses them; before `bin` is written there has been
// a barrier since it was read.
struct RankScratch {
  unsigned long long bins[kBins];
  unsigned long long words[kSampleThreads / kWarp + 1];
  uint32_t bin;
  uint32_t counter;
  unsigned long long need;
  double logSum;  // of the row, kept here for want of registers
};

template <typename T, typename Combine>
__device__ __forceinline__ T ofSampleBlock(T value, RankScratch& scratch, Combine combine) {
  for (uint32_t apart = kWarp / 2; apart > 0; apart /= 2) {
    value = combine(value, __shfl_xor_sync(kEveryLane, value, int(apart)));
  }
  auto* words = reinterpret_cast<T*>(scratch.words);  // free since the last barrier of the call before
  if (threadIdx.x % kWarp == 0) words[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = words[0];
  for (uint32_t warp = 1; warp < kSampleThreads / kWarp; ++warp) value = combine(value, words[warp]);
  __syncthreads();
  return value;
}

struct AddWords {
  __device__ unsigned long long operator()(unsigned long long a, unsigned long long b) const { return a + b; }
};
struct Least {
  __device__ uint32_t operator()(uint32_t a, uint32_t b) const { return a < b ? a : b; }
};
struct Most {
  __device__ uint32_t operator()(uint32_t a, uint32_t b) const { return a > b ? a : b; }
};

// The bin up to which, from the first, `need` is counted, or the last one; what is needed of it comes back in
// scratch.need.
__device__ inline uint32_t findBin(RankScratch& scratch, uint32_t lastBin, unsigned long long need) {
  if (threadIdx.x < kWarp) {
    constexpr uint32_t kEach = kBins / kWarp;
    unsigned long long own = 0;
    // Each lane begins at another of its own, so that no two meet in a bank.
    for (uint32_t i = 0; i < kEach; ++i) own += scratch.bins[threadIdx.x * kEach + (i + threadIdx.x) % kEach];
    unsigned long long before = own;
    for (uint32_t apart = 1; apart < kWarp; apart *= 2) {
      const unsigned long long other = __shfl_up_sync(kEveryLane, before, apart);
      if (threadIdx.x >= apart) before += other;
    }
    const uint32_t reached = __ballot_sync(kEveryLane, before >= need);
    const uint32_t lane = reached == 0 ? kWarp - 1 : uint32_t(__ffs(int(reached))) - 1;
    if (threadIdx.x == lane) {
      unsigned long long left = need - (before - own);
      uint32_t bin = threadIdx.x * kEach;
      for (; bin < lastBin && scratch.bins[bin] < left; ++bin) left -= scratch.bins[bin];
      scratch.bin = bin < lastBin ? bin : lastBin;
      scratch.need = left;
    }
  }
  __syncthreads();
  return scratch.bin;
}

// The id with which those of this logit count `need`, or the last of all.
__device__ inline uint32_t lastOf(const Ranked& ranked, float logit, unsigned long long need, RankScratch& scratch) {
  const unsigned long long each = ranked.countsOf(logit);
  if (each == 0) return ranked.count - 1;
  const unsigned long long nth = (need - 1) / each + 1;
  uint32_t first = ranked.count, last = 0;
  unsigned long long there = 0;
  for (uint32_t id = threadIdx.x; id < ranked.count; id += kSampleThreads) {
    if (ranked.logits[id] != logit) continue;
    first = id < first ? id : first;
    last = id;
    ++there;
  }
  there = ofSampleBlock(there, scratch, AddWords());
  if (there < nth) return ranked.count - 1;
  if (nth == 1) return ofSampleBlock(first, scratch, Least());
  if (nth == there) return ofSampleBlock(last, scratch, Most());
  // Among several equal ones: a warp counts them in order.
  if (threadIdx.x < kWarp) {
    unsigned long long before = 0;
    for (uint32_t from = 0; from < ranked.count; from += kWarp) {
      const uint32_t id = from + threadIdx.x;
      const uint32_t hits = __ballot_sync(kEveryLane, id < ranked.count && ranked.logits[id] == logit);
      const auto here = uint32_t(__popc(hits));
      if (before + here >= nth) {
        const uint32_t mine = uint32_t(__popc(hits & ((2u << threadIdx.x) - 1)));
        if ((hits >> threadIdx.x & 1) != 0 && before + mine == nth) scratch.bin = id;
        break;
      }
      before += here;
    }
  }
  __syncthreads();
  return scratch.bin;
}

// The shortest beginning that counts `need` ≥ 1 or more, of the logits of [low, high]; all of them where none does.
__device__ inline Cut findCut(const Ranked& ranked, float low, float high, unsigned long long need,
                              RankScratch& scratch) {
  uint32_t bottom = keyOf(low), top = keyOf(high);
  while (bottom < top) {
    const uint32_t bits = 32 - uint32_t(__clz(int(top - bottom))), shift = bits > kBinBits ? bits - kBinBits : 0;
    for (uint32_t bin = threadIdx.x; bin < kBins; bin += kSampleThreads) scratch.bins[bin] = 0;
    __syncthreads();
    const float least = logitOf(bottom), most = logitOf(top);
    for (uint32_t id = threadIdx.x; id < ranked.count; id += kSampleThreads) {
      const float logit = ranked.logits[id];
      if (!(logit >= least && logit <= most)) continue;
      const unsigned long long counts = ranked.countsOf(logit);
      if (counts > 0) atomicAdd(&scratch.bins[(top - keyOf(logit)) >> shift], counts);
    }
    __syncthreads();
    const uint32_t bin = findBin(scratch, (top - bottom) >> shift, need);
    need = scratch.need;
    top -= bin << shift;
    const uint32_t width = (1u << shift) - 1;
    if (top - bottom > width) bottom = top - width;
  }
  return {logitOf(top), lastOf(ranked, logitOf(top), need, scratch)};
}

}  // namespace quipu::cuda

// Attention takes the keys of a row page by page, each from scratch. Pages are merged in ascending order to chunks of
// four, these to the row: so that a decode step can share pages and chunks of a long context out, and a row has the
// same bits alone, in a batch and in a prompt. What a chunk leaves, and how it is merged, is the same in every kernel
// here.
#pragma once

#include "cuda/kernels/cache.h"

namespace quipu::cuda {

constexpr uint32_t kChunkPages = 4, kChunkKeys = kChunkPages * kPageKeys;

// exp(score) is 2 to the power of it: scores are multiplied by log₂ e besides.
constexpr float kLog2E = 0x1.715476p+0f;

constexpr float kMinusInfinity = -__builtin_huge_valf();

// Of a row: the greatest score and Σ 2^(score − greatest). Beside it Σ of the values by the same weights.
struct Mass {
  float greatest = kMinusInfinity, sum = 0;
};

// What the sums so far, and those of the next part, are multiplied by as they become one. A NaN stays one.
struct Factors {
  float before, next;
};

__device__ __forceinline__ Factors join(Mass& mass, const Mass& next) {
  const float greatest = next.greatest > mass.greatest ? next.greatest : mass.greatest;
  // Before the first key both are −∞: then nothing is kept, and nothing added.
  const float before = mass.greatest == greatest ? 1.0f : powerOfTwo(mass.greatest - greatest);
  const float after = next.greatest == greatest ? 1.0f : powerOfTwo(next.greatest - greatest);
  mass.sum = fmaf(mass.sum, before, next.sum * after);
  mass.greatest = greatest;
  return {before, after};
}

// What a chunk leaves: [token][head][chunk] of Mass, and of [d] floats.
struct Partials {
  Mass* masses;
  float* sums;
  uint32_t heads, chunks, size;
  uint32_t firstToken;  // of the call's that are in it

  __host__ __device__ size_t at(uint32_t token, uint32_t head, uint32_t chunk) const {
    return (size_t(token - firstToken) * heads + head) * chunks + chunk;
  }
  static size_t bytes(uint32_t tokens, uint32_t heads, uint32_t chunks, uint32_t size) {
    return times(times(times(tokens, heads), chunks), sizeof(Mass) + size_t(size) * sizeof(float));
  }
};

}  // namespace quipu::cuda

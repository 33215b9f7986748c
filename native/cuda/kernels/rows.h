// A row of activations as products take it: normed, rotated where the weights are, narrowed to f16.
#pragma once

#include "cuda/kernels/elements.h"

namespace quipu::cuda {

// 1 / √(mean x² + ε) of a row, by all kRowThreads: four elements a thread side by side, then threads as ofBlock has
// them. An order of its own: the CPU's is another.
__device__ __forceinline__ float normScaleOf(const float* x, uint32_t width, float epsilon, float* shared) {
  float squares = 0;
  for (uint32_t k = threadIdx.x * 4; k < width; k += kRowThreads * 4) {
    for (uint32_t i = 0; i < 4 && k + i < width; ++i) squares = fmaf(x[k + i], x[k + i], squares);
  }
  return 1.0f / sqrtf(ofBlock(squares, shared, Add()) / float(width) + epsilon);
}

// What activations are before a product: x, or the norm of it.
struct Activations {
  const float* x;    // [T, K]
  const void* norm;  // [K] of normType; null: x as it is
  DType normType;
  float epsilon;
};

// How a product reads them.
enum class Narrow {
  kHalf,         // times a power of two that makes the greatest of the row at most 2¹⁴, rounded to f16
  kSummedHalf,   // and beside them the sums of blocks of 32
  kRotatedHalf,  // whole blocks of 32 times R / 8 (docs/numerics.md) before that
};

// Elements of a row in memory: whole steps of any format, and beside them room for its scale.
constexpr uint32_t kRowUnit = 256;
__host__ __device__ constexpr uint32_t narrowWidth(uint32_t depth) {
  return (depth + kRowUnit - 1) / kRowUnit * kRowUnit;
}
// Bytes of a row's sums: of every eight blocks of 32 the 32 bytes that an mma takes, in the order of a row's elements,
// whose k of 0 … 7 are the blocks' sums / 32, and of 8 … 15 what their rounding to f16 left of them.
__host__ __device__ constexpr size_t narrowSums(uint32_t depth) {
  return (size_t(narrowWidth(depth)) / 8 + 127) / 128 * 128;
}
// A row of narrow elements: of every 32 pair p, of k = 2p and 2p + 1, is word 4 · (p % 4) + p / 4, so that the 16 bytes
// of a lane l are what two mma take of it (product.h), those of pairs l % 4, l % 4 + 4 … Then room for the sums, and 16
// bytes whose first four are what products are multiplied by at last. With the 64 bytes more, rows of a multiple of 128
// do not all begin in one bank of shared memory.
constexpr size_t kNarrowUnit = 64;  // all lengths are of whole ones
__host__ __device__ constexpr size_t narrowBytes(uint32_t depth) {
  return size_t(narrowWidth(depth)) * 2 + narrowSums(depth) + kNarrowUnit;
}
static_assert(narrowBytes(1) % kNarrowUnit == 0 && narrowBytes(kRowUnit + 1) % kNarrowUnit == 0);

// Four elements from k on; zeros beyond the row. `whole`: four are always there, at a multiple of 16 bytes.
__device__ __forceinline__ float4 fourOf(const Activations& from, const float* x, uint32_t k, uint32_t depth,
                                         float normScale, bool whole) {
  float v[4] = {};
  if (whole) {
    if (k >= depth) return {0, 0, 0, 0};
    const float4 four = *reinterpret_cast<const float4*>(x + k);
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
  } else {
    for (uint32_t i = 0; i < 4; ++i) {
      if (k + i < depth) v[i] = x[k + i];
    }
  }
  if (from.norm != nullptr) {
    for (uint32_t i = 0; i < 4; ++i) {
      if (k + i < depth) v[i] = v[i] * normScale * elementOf(from.norm, from.normType, k + i);
    }
  }
  return {v[0], v[1], v[2], v[3]};
}

// R / 8 of a block of 32 that eight threads hold, butterflies 1, 2, 4, 8 and 16 apart.
__device__ __forceinline__ float4 rotatedOf(float4 v) {
  float a = v.x + v.y, b = v.x - v.y, c = v.z + v.w, d = v.z - v.w;
  float e[4] = {a + c, b + d, a - c, b - d};
  for (uint32_t apart = 1; apart <= 4; apart *= 2) {
    for (float& x : e) {
      const float other = __shfl_xor_sync(kEveryLane, x, int(apart));
      x = (threadIdx.x & apart) == 0 ? x + other : other - x;
    }
  }
  return {e[0] * 0.125f, e[1] * 0.125f, e[2] * 0.125f, e[3] * 0.125f};
}

// Four elements of a thread, for every kRowThreads · 4 of a row, as many as stay in registers: of a row with its norm's
// weights, and of one by itself.
constexpr uint32_t kNormedFours = 4, kPlainFours = 16;
__host__ __device__ constexpr uint32_t depthOfFours(uint32_t fours) { return fours * kRowThreads * 4; }

// What narrow elements are multiplied by, and their sums divided by: 2ᵉ ≤ greatest < 2ᵉ⁺¹ becomes 2¹³ … 2¹⁴. Rows of
// zeros and tiny ones stay within what a power of two can be; one with a NaN or an infinity gives NaN whatever that is.
struct RowScale {
  float multiply = 1, divide = 1;

  __device__ static RowScale of(float greatest) {
    const int exponent = int(__float_as_uint(greatest) >> 23) - 127;
    const int shift = exponent > 120 ? 13 - 120 : exponent < -100 ? 13 + 100 : 13 - exponent;
    return {__uint_as_float(uint32_t(shift + 127) << 23), __uint_as_float(uint32_t(127 - shift) << 23)};
  }
};

__device__ __forceinline__ float greatestOf(float greatest, const float4& v) {
  return fmaxf(fmaxf(fmaxf(greatest, fabsf(v.x)), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
}

__device__ __forceinline__ float sumOfPair(uint32_t pair) {
  return halfToFloat(uint16_t(pair)) + halfToFloat(uint16_t(pair >> 16));
}

// By all lanes of a warp, which have four elements each of 128.
template <Narrow kNarrow>
__device__ __forceinline__ void storeFour(std::byte* to, uint32_t k, uint32_t width, const float4& v, float by) {
  const uint32_t first = halfPair(v.x * by, v.y * by), second = halfPair(v.z * by, v.w * by);
  const uint32_t pair = k % 32 / 2;
  auto* words = reinterpret_cast<uint32_t*>(to) + k / 32 * 16 + pair % 4 * 4 + pair / 4;
  // The upper half of a warp stores its second word first: what is stored at once lies in all banks.
  const uint32_t at = k % 128 < 64 ? 0 : 4;
  words[at] = at == 0 ? first : second;
  words[4 - at] = at == 0 ? second : first;
  if constexpr (kNarrow == Narrow::kSummedHalf) {
    float sum = sumOfPair(first) + sumOfPair(second);
    for (uint32_t apart = 1; apart <= 4; apart *= 2) sum += __shfl_xor_sync(kEveryLane, sum, int(apart));
    if (k % 32 != 0) return;
    const uint32_t block = k / 32;
    auto* sums = reinterpret_cast<uint16_t*>(to + size_t(width) * 2) + block / 8 * 16 + block % 8 / 2 * 4 + block % 2;
    sums[0] = halfBits(sum / 32);
    sums[2] = halfBits(sum / 32 - halfToFloat(sums[0]));
  }
}

// Rotated where that is asked for: of all lanes, as they exchange.
template <Narrow kNarrow>
__device__ __forceinline__ float4 turned(const float4& v, uint32_t k, uint32_t depth) {
  if constexpr (kNarrow != Narrow::kRotatedHalf) return v;
  const float4 rotated = rotatedOf(v);
  return k / 32 * 32 + 32 <= depth ? rotated : v;
}

// A row of at most kFours, which is loaded once and waits once for the memory. Its scale's inverse.
template <Narrow kNarrow, uint32_t kFours, bool kNormed>
__device__ __forceinline__ float narrowKept(const Activations& from, const float* x, uint32_t depth, bool whole,
                                            std::byte* to, float* shared) {
  const Activations plain = {from.x, nullptr, DType::kF32, 0};
  const uint32_t width = narrowWidth(depth);
  float4 v[kFours];
#pragma unroll
  for (uint32_t i = 0; i < kFours; ++i) {
    v[i] = fourOf(plain, x, (i * kRowThreads + threadIdx.x) * 4, depth, 1, whole);
  }
  if constexpr (kNormed) {
    float4 weights[kFours];
    float squares = 0;
#pragma unroll
    for (uint32_t i = 0; i < kFours; ++i) {
      const uint32_t k = (i * kRowThreads + threadIdx.x) * 4;
      float w[4] = {1, 1, 1, 1};
      for (uint32_t j = 0; j < 4; ++j) {
        if (k + j < depth) w[j] = elementOf(from.norm, from.normType, k + j);
      }
      weights[i] = {w[0], w[1], w[2], w[3]};
    }
#pragma unroll
    for (uint32_t i = 0; i < kFours; ++i) {
      squares = fmaf(v[i].x, v[i].x, squares);
      squares = fmaf(v[i].y, v[i].y, squares);
      squares = fmaf(v[i].z, v[i].z, squares);
      squares = fmaf(v[i].w, v[i].w, squares);
    }
    const float norm = 1.0f / sqrtf(ofBlock(squares, shared, Add()) / float(depth) + from.epsilon);
#pragma unroll
    for (uint32_t i = 0; i < kFours; ++i) {
      const float4 w = weights[i];
      v[i] = {v[i].x * norm * w.x, v[i].y * norm * w.y, v[i].z * norm * w.z, v[i].w * norm * w.w};
    }
  }
  float greatest = 0;
#pragma unroll
  for (uint32_t i = 0; i < kFours; ++i) {
    v[i] = turned<kNarrow>(v[i], (i * kRowThreads + threadIdx.x) * 4, depth);
    greatest = greatestOf(greatest, v[i]);
  }
  const RowScale scale = RowScale::of(ofBlock(greatest, shared, Maximum()));
#pragma unroll
  for (uint32_t i = 0; i < kFours; ++i) {
    const uint32_t k = (i * kRowThreads + threadIdx.x) * 4;
    if (k < width) storeFour<kNarrow>(to, k, width, v[i], scale.multiply);
  }
  return scale.divide;
}

// A row of any length, which is read again for each pass over it.
template <Narrow kNarrow>
__device__ __forceinline__ float narrowAgain(const Activations& from, const float* x, uint32_t depth, bool whole,
                                             std::byte* to, float* shared) {
  const uint32_t width = narrowWidth(depth);
  const float norm = from.norm != nullptr ? normScaleOf(x, depth, from.epsilon, shared) : 1.0f;
  const auto valuesAt = [&](uint32_t k) { return turned<kNarrow>(fourOf(from, x, k, depth, norm, whole), k, depth); };
  float greatest = 0;
#pragma unroll 4
  for (uint32_t k = threadIdx.x * 4; k < width; k += kRowThreads * 4) greatest = greatestOf(greatest, valuesAt(k));
  const RowScale scale = RowScale::of(ofBlock(greatest, shared, Maximum()));
#pragma unroll 4
  for (uint32_t k = threadIdx.x * 4; k < width; k += kRowThreads * 4) {
    storeFour<kNarrow>(to, k, width, valuesAt(k), scale.multiply);
  }
  return scale.divide;
}

// A row of activations into `to` (narrowBytes) by all kRowThreads. `shared`: a word for each warp.
template <Narrow kNarrow>
__device__ __forceinline__ void narrowRow(const Activations& from, uint32_t row, uint32_t depth, std::byte* to,
                                          float* shared) {
  const float* x = from.x + size_t(row) * depth;
  const bool whole = depth % 4 == 0 && reinterpret_cast<uintptr_t>(from.x) % 16 == 0, normed = from.norm != nullptr;
  float scale;
  if (depth > depthOfFours(normed ? kNormedFours : kPlainFours)) {
    scale = narrowAgain<kNarrow>(from, x, depth, whole, to, shared);
  } else if (normed) {
    scale = narrowKept<kNarrow, kNormedFours, true>(from, x, depth, whole, to, shared);
  } else if (depth <= depthOfFours(kNormedFours)) {
    scale = narrowKept<kNarrow, kNormedFours, false>(from, x, depth, whole, to, shared);
  } else {
    scale = narrowKept<kNarrow, kPlainFours, false>(from, x, depth, whole, to, shared);
  }
  if (threadIdx.x == 0) *reinterpret_cast<float*>(to + size_t(narrowWidth(depth)) * 2 + narrowSums(depth)) = scale;
}

// What an mma takes of a lane of the sums of the eight blocks from k on.
__device__ __forceinline__ uint2 blockSumsOf(const std::byte* row, uint32_t depth, uint32_t k, uint32_t lane) {
  return *reinterpret_cast<const uint2*>(row + size_t(narrowWidth(depth)) * 2 + k / 8 + lane % 4 * 8);
}

// What the sums of a narrowed row are multiplied by.
__device__ __forceinline__ float narrowScale(const std::byte* row, uint32_t depth) {
  return *reinterpret_cast<const float*>(row + size_t(narrowWidth(depth)) * 2 + narrowSums(depth));
}

}  // namespace quipu::cuda

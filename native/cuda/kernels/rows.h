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
  kRotatedHalf,  // whole blocks of 32 times R / 8 (docs/numerics.md) before that
};

// Elements of a row in memory: whole steps of any format, and beside them room for its scale.
constexpr uint32_t kRowUnit = 256;
__host__ __device__ constexpr uint32_t narrowWidth(uint32_t depth) {
  return (depth + kRowUnit - 1) / kRowUnit * kRowUnit;
}
// A row of narrow elements: of every 32 pair p, of k = 2p and 2p + 1, is word 4 · (p % 4) + p / 4, so that the 16 bytes
// of a lane l are what two mma take of it (product.h), those of pairs l % 4, l % 4 + 4 … Then 16 bytes whose first four
// are what products are multiplied by at last. With the 64 bytes more, rows of a multiple of 128 do not all begin in
// one bank of shared memory.
__host__ __device__ constexpr size_t narrowBytes(uint32_t depth) { return size_t(narrowWidth(depth)) * 2 + 64; }

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

// Four elements of a thread, for every kRowThreads · 4 of a row, up to which they stay in registers.
constexpr uint32_t kKeptFours = 4, kKeptDepth = kKeptFours * kRowThreads * 4;

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

__device__ __forceinline__ void storeFour(std::byte* to, uint32_t k, const float4& v, float by) {
  const uint32_t pair = k % 32 / 2;
  auto* words = reinterpret_cast<uint32_t*>(to) + k / 32 * 16 + pair % 4 * 4 + pair / 4;
  words[0] = halfPair(v.x * by, v.y * by);
  words[4] = halfPair(v.z * by, v.w * by);
}

// A row of activations into `to` (narrowBytes) by all kRowThreads. `shared`: a word for each warp. A row of up to
// kKeptDepth is loaded once, and waits once for the memory; of longer ones the cache has what is read again.
template <Narrow kNarrow>
__device__ __forceinline__ void narrowRow(const Activations& from, uint32_t row, uint32_t depth, std::byte* to,
                                          float* shared) {
  const float* x = from.x + size_t(row) * depth;
  const bool whole = depth % 4 == 0 && reinterpret_cast<uintptr_t>(from.x) % 16 == 0;
  const Activations plain = {from.x, nullptr, DType::kF32, 0};
  const uint32_t width = narrowWidth(depth);
  // Rotated where that is asked for: of all lanes, as they exchange.
  const auto turned = [&](const float4& v, uint32_t k) {
    if constexpr (kNarrow != Narrow::kRotatedHalf) return v;
    const float4 rotated = rotatedOf(v);
    return k / 32 * 32 + 32 <= depth ? rotated : v;
  };
  const auto most = [](float a, float b) { return fmaxf(a, b); };
  RowScale scale;
  if (depth <= kKeptDepth) {
    float4 v[kKeptFours], weights[kKeptFours];
    float squares = 0, greatest = 0;
#pragma unroll
    for (uint32_t i = 0; i < kKeptFours; ++i) {
      const uint32_t k = (i * kRowThreads + threadIdx.x) * 4;
      v[i] = fourOf(plain, x, k, depth, 1, whole);
      weights[i] = {1, 1, 1, 1};
      if (from.norm == nullptr) continue;
      float* w[4] = {&weights[i].x, &weights[i].y, &weights[i].z, &weights[i].w};
      for (uint32_t j = 0; j < 4; ++j) {
        if (k + j < depth) *w[j] = elementOf(from.norm, from.normType, k + j);
      }
    }
    if (from.norm != nullptr) {
#pragma unroll
      for (uint32_t i = 0; i < kKeptFours; ++i) {
        squares = fmaf(v[i].x, v[i].x, squares);
        squares = fmaf(v[i].y, v[i].y, squares);
        squares = fmaf(v[i].z, v[i].z, squares);
        squares = fmaf(v[i].w, v[i].w, squares);
      }
      const float norm = 1.0f / sqrtf(ofBlock(squares, shared, Add()) / float(depth) + from.epsilon);
#pragma unroll
      for (uint32_t i = 0; i < kKeptFours; ++i) {
        const float4 w = weights[i];
        v[i] = {v[i].x * norm * w.x, v[i].y * norm * w.y, v[i].z * norm * w.z, v[i].w * norm * w.w};
      }
    }
#pragma unroll
    for (uint32_t i = 0; i < kKeptFours; ++i) {
      v[i] = turned(v[i], (i * kRowThreads + threadIdx.x) * 4);
      greatest = greatestOf(greatest, v[i]);
    }
    scale = RowScale::of(ofBlock(greatest, shared, most));
#pragma unroll
    for (uint32_t i = 0; i < kKeptFours; ++i) {
      const uint32_t k = (i * kRowThreads + threadIdx.x) * 4;
      if (k < width) storeFour(to, k, v[i], scale.multiply);
    }
  } else {
    const float norm = from.norm != nullptr ? normScaleOf(x, depth, from.epsilon, shared) : 1.0f;
    const auto valuesAt = [&](uint32_t k) { return turned(fourOf(from, x, k, depth, norm, whole), k); };
    float greatest = 0;
#pragma unroll 4
    for (uint32_t k = threadIdx.x * 4; k < width; k += kRowThreads * 4) greatest = greatestOf(greatest, valuesAt(k));
    scale = RowScale::of(ofBlock(greatest, shared, most));
#pragma unroll 4
    for (uint32_t k = threadIdx.x * 4; k < width; k += kRowThreads * 4) {
      storeFour(to, k, valuesAt(k), scale.multiply);
    }
  }
  if (threadIdx.x == 0) *reinterpret_cast<float*>(to + size_t(width) * 2) = scale.divide;
}

// What the sums of a narrowed row are multiplied by.
__device__ __forceinline__ float narrowScale(const std::byte* row, uint32_t depth) {
  return *reinterpret_cast<const float*>(row + size_t(narrowWidth(depth)) * 2);
}

}  // namespace quipu::cuda

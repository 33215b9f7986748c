// A row of activations as products take it: normed, rotated where the weights are, narrowed to bf16 or f16.
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
  kBf16,         // rounded to bf16
  kHalf,         // times a power of two that makes the greatest of the row at most 2¹⁴, rounded to f16
  kRotatedHalf,  // whole blocks of 32 times R / 8 (docs/numerics.md) before that
};

// Elements of a row in memory: whole steps of any format, and beside them room for its scale.
constexpr uint32_t kRowUnit = 256;
__host__ __device__ constexpr uint32_t narrowWidth(uint32_t depth) { return (depth + kRowUnit - 1) / kRowUnit * kRowUnit; }
// A row of narrow elements, then 16 bytes whose first four are what products are multiplied by at last. With the 64
// bytes more, rows of a multiple of 128 do not all begin in one bank of shared memory.
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

// A row of activations into `to` (narrowBytes) by all kRowThreads. `shared`: a word for each warp.
template <Narrow kNarrow>
__device__ __forceinline__ void narrowRow(const Activations& from, uint32_t row, uint32_t depth, std::byte* to,
                                          float* shared) {
  const float* x = from.x + size_t(row) * depth;
  const bool whole = depth % 4 == 0 && reinterpret_cast<uintptr_t>(from.x) % 16 == 0;
  const float normScale = from.norm != nullptr ? normScaleOf(x, depth, from.epsilon, shared) : 1.0f;
  const auto valuesAt = [&](uint32_t k) {
    float4 v = fourOf(from, x, k, depth, normScale, whole);
    if constexpr (kNarrow == Narrow::kRotatedHalf) {
      const float4 rotated = rotatedOf(v);  // of all lanes, as they exchange
      if (k / 32 * 32 + 32 <= depth) v = rotated;
    }
    return v;
  };
  float multiply = 1, divide = 1;
  if constexpr (kNarrow != Narrow::kBf16) {
    float greatest = 0;
    for (uint32_t k = threadIdx.x * 4; k < narrowWidth(depth); k += kRowThreads * 4) {
      const float4 v = valuesAt(k);
      greatest = fmaxf(fmaxf(fmaxf(greatest, fabsf(v.x)), fabsf(v.y)), fmaxf(fabsf(v.z), fabsf(v.w)));
    }
    greatest = ofBlock(greatest, shared, [](float a, float b) { return fmaxf(a, b); });
    // 2ᵉ ≤ greatest < 2ᵉ⁺¹. Rows of zeros and tiny ones stay within what a power of two can be; one with a NaN or an
    // infinity gives NaN whatever it is multiplied by.
    const int exponent = int(__float_as_uint(greatest) >> 23) - 127;
    const int shift = exponent > 120 ? 13 - 120 : exponent < -100 ? 13 + 100 : 13 - exponent;
    multiply = __uint_as_float(uint32_t(shift + 127) << 23);
    divide = __uint_as_float(uint32_t(127 - shift) << 23);
  }
  auto* elements = reinterpret_cast<uint2*>(to);
  for (uint32_t k = threadIdx.x * 4; k < narrowWidth(depth); k += kRowThreads * 4) {
    const float4 v = valuesAt(k);
    if constexpr (kNarrow == Narrow::kBf16) {
      elements[k / 4] = {bf16Pair(v.x, v.y), bf16Pair(v.z, v.w)};
    } else {
      elements[k / 4] = {halfPair(v.x * multiply, v.y * multiply), halfPair(v.z * multiply, v.w * multiply)};
    }
  }
  if (threadIdx.x == 0) *reinterpret_cast<float*>(to + size_t(narrowWidth(depth)) * 2) = divide;
}

}  // namespace quipu::cuda

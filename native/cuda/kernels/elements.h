// Elements as numbers, sums of a block, what a kernel has to say against its operands.
#pragma once

#include "cuda/op_call.h"

namespace quipu::cuda {

constexpr uint32_t kWarp = 32;
constexpr uint32_t kEveryLane = 0xFFFFFFFF;

// Threads of a block that shares out a row.
constexpr uint32_t kRowThreads = 256;

// Whether the run has ended: what is left of it may leave no trace in state.
__device__ __forceinline__ bool hasFailed(const RunState* state) {
  return *static_cast<const volatile unsigned long long*>(&state->failure) != RunState::kNone;
}

// Notes what is wrong with a row of op `op`.
__device__ __forceinline__ void fail(RunState* state, uint32_t op, ErrorCode code, uint32_t row) {
  const unsigned long long word =
      static_cast<unsigned long long>(op) << 40 | static_cast<unsigned long long>(code) << 32 | row;
  const bool own = code == ErrorCode::kNotANumber || code == ErrorCode::kAllForbidden;
  if (own && state->byRow != 0) {
    state->rows[atomicAdd(&state->failed, 1u)] = word;
  } else {
    atomicMin(&state->failure, word);
  }
}

__device__ __forceinline__ float bf16ToFloat(uint16_t bits) { return __uint_as_float(uint32_t(bits) << 16); }

// Element `index` of a dense tensor, widened exactly.
__device__ __forceinline__ float elementOf(const void* data, DType dtype, size_t index) {
  if (dtype == DType::kF32) return static_cast<const float*>(data)[index];
  const uint16_t bits = static_cast<const uint16_t*>(data)[index];
  return dtype == DType::kBF16 ? bf16ToFloat(bits) : halfToFloat(bits);
}

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Maximum {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }  // a NaN gives way
};
struct Greater {
  __device__ float operator()(float a, float b) const { return a > b || a != a ? a : b; }  // a NaN stays
};

// One value of all lanes, in the same order on each: butterflies.
template <typename Combine>
__device__ __forceinline__ float ofWarp(float value, Combine combine) {
  for (uint32_t apart = kWarp / 2; apart > 0; apart /= 2) {
    value = combine(value, __shfl_xor_sync(kEveryLane, value, int(apart)));
  }
  return value;
}

// One value of all threads of a block: warps in ascending order. `shared`: a word for each warp, free again after the
// next barrier.
template <uint32_t kThreads = kRowThreads, typename Combine>
__device__ __forceinline__ float ofBlock(float value, float* shared, Combine combine) {
  value = ofWarp(value, combine);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = value;
  __syncthreads();
  value = shared[0];
  for (uint32_t warp = 1; warp < kThreads / kWarp; ++warp) value = combine(value, shared[warp]);
  return value;
}

// exp as docs/numerics.md has it: the CPU's bits. Without a branch on x: a proof that nothing races goes through both
// sides of each (test/cuda/prove_races.py).
__device__ __forceinline__ float exponential(float x) {
  const float bounded = fmaxf(fminf(x, 89.0f), -105.0f);
  const float n = rintf(bounded * 0x1.715476p+0f);
  float r = fmaf(-n, 0x1.62e43p-1f, bounded);
  r = fmaf(-n, -0x1.05c61p-29f, r);
  float p = 0x1.a151bcp-13f;
  p = fmaf(p, r, 0x1.6d4366p-10f);
  p = fmaf(p, r, 0x1.1110c6p-7f);
  p = fmaf(p, r, 0x1.5554e8p-5f);
  p = fmaf(p, r, 0x1.555556p-3f);
  p = fmaf(p, r, 0.5f);
  p = fmaf(p, r, 1.0f);
  p = fmaf(p, r, 1.0f);
  // 2ⁿ in two steps, the second of which rounds.
  const int whole = int(n), first = whole >> 1, second = whole - first;
  p = p * __uint_as_float(uint32_t(first + 127) << 23) * __uint_as_float(uint32_t(second + 127) << 23);
  p = x < -104.0f ? 0.0f : p;
  return x != x ? x : p;
}

__device__ __forceinline__ float silu(float x) { return x / (1.0f + exponential(-x)); }

}  // namespace quipu::cuda

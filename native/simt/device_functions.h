// What CUDA C++ gives to every kernel: the thread's indices, barriers, warp collectives, atomics, number functions.
// Those that threads meet in, or that touch memory, are in the library, which is compiled without the detectors' hooks.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simt/site.h"
#include "simt/vector_types.h"

namespace quipu::simt {

enum class Shuffle { kIndex, kUp, kDown, kXor };
uint64_t shuffle(Shuffle how, uint32_t mask, uint64_t value, uint32_t argument, int width, Site site);
uint32_t ballot(uint32_t mask, bool predicate, Site site);
void syncWarp(uint32_t mask, Site site);
void syncThreads(Site site);
void fence();

enum class Atomic { kAdd, kMin, kMax, kExchange, kAnd, kOr, kCompareAndSwap };
// The value before; `compare` is of kCompareAndSwap.
template <typename T>
T atomic(Atomic how, T* address, T operand, T compare, Site site);

void loadChecked(const void* address, size_t bytes, void* to, Site site);

}  // namespace quipu::simt

// Constants for a thread, which runs on a stack of its own; the scheduler changes them from thread to thread
// (simt/built_ins.cc).
extern const uint3 threadIdx, blockIdx;
extern const dim3 blockDim, gridDim;
constexpr int warpSize = 32;

using SimtSite = quipu::simt::Site;

inline void __syncthreads(SimtSite site = SimtSite::here()) { quipu::simt::syncThreads(site); }
inline void __syncwarp(uint32_t mask = 0xffffffff, SimtSite site = SimtSite::here()) {
  quipu::simt::syncWarp(mask, site);
}
inline void __threadfence() { quipu::simt::fence(); }

template <typename T>
T quipuSimtShuffle(quipu::simt::Shuffle how, uint32_t mask, T value, uint32_t argument, int width, SimtSite site) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4, "shuffles are of 32 and 64 bits");
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  const uint64_t got = quipu::simt::shuffle(how, mask, std::bit_cast<Bits>(value), argument, width, site);
  return std::bit_cast<T>(static_cast<Bits>(got));
}
template <typename T>
T __shfl_sync(uint32_t mask, T value, int lane, int width = 32, SimtSite site = SimtSite::here()) {
  return quipuSimtShuffle(quipu::simt::Shuffle::kIndex, mask, value, static_cast<uint32_t>(lane), width, site);
}
template <typename T>
T __shfl_up_sync(uint32_t mask, T value, unsigned delta, int width = 32, SimtSite site = SimtSite::here()) {
  return quipuSimtShuffle(quipu::simt::Shuffle::kUp, mask, value, delta, width, site);
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, unsigned delta, int width = 32, SimtSite site = SimtSite::here()) {
  return quipuSimtShuffle(quipu::simt::Shuffle::kDown, mask, value, delta, width, site);
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int lanes, int width = 32, SimtSite site = SimtSite::here()) {
  return quipuSimtShuffle(quipu::simt::Shuffle::kXor, mask, value, static_cast<uint32_t>(lanes), width, site);
}
inline uint32_t __ballot_sync(uint32_t mask, int predicate, SimtSite site = SimtSite::here()) {
  return quipu::simt::ballot(mask, predicate != 0, site);
}
inline int __any_sync(uint32_t mask, int predicate, SimtSite site = SimtSite::here()) {
  return quipu::simt::ballot(mask, predicate != 0, site) != 0;
}
inline int __all_sync(uint32_t mask, int predicate, SimtSite site = SimtSite::here()) {
  return quipu::simt::ballot(mask, predicate == 0, site) == 0;
}

template <typename T>
T atomicAdd(T* address, std::type_identity_t<T> value, SimtSite site = SimtSite::here()) {
  return quipu::simt::atomic<T>(quipu::simt::Atomic::kAdd, address, value, T{}, site);
}
template <typename T>
T atomicMin(T* address, std::type_identity_t<T> value, SimtSite site = SimtSite::here()) {
  return quipu::simt::atomic<T>(quipu::simt::Atomic::kMin, address, value, T{}, site);
}
template <typename T>
T atomicMax(T* address, std::type_identity_t<T> value, SimtSite site = SimtSite::here()) {
  return quipu::simt::atomic<T>(quipu::simt::Atomic::kMax, address, value, T{}, site);
}
template <typename T>
T atomicExch(T* address, std::type_identity_t<T> value, SimtSite site = SimtSite::here()) {
  return quipu::simt::atomic<T>(quipu::simt::Atomic::kExchange, address, value, T{}, site);
}
template <typename T>
T atomicAnd(T* address, std::type_identity_t<T> value, SimtSite site = SimtSite::here()) {
  return quipu::simt::atomic<T>(quipu::simt::Atomic::kAnd, address, value, T{}, site);
}
template <typename T>
T atomicOr(T* address, std::type_identity_t<T> value, SimtSite site = SimtSite::here()) {
  return quipu::simt::atomic<T>(quipu::simt::Atomic::kOr, address, value, T{}, site);
}
template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value,
            SimtSite site = SimtSite::here()) {
  return quipu::simt::atomic<T>(quipu::simt::Atomic::kCompareAndSwap, address, value, compare, site);
}

template <typename T>
T __ldg(const T* address, SimtSite site = SimtSite::here()) {
  T value;
  quipu::simt::loadChecked(address, sizeof value, &value, site);
  return value;
}

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<__uint128_t>(a) * b) >> 64);
}

// Byte i of the result is the byte of {y, x} that nibble i of `selector` names by its lower
// three bits.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (unsigned i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  }
  return result;
}

inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline int __float2int_rn(float x) { return static_cast<int>(std::rint(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
// NaN and what is negative are 0, what is too large the greatest (cvt.rni.u64.f32 saturates).
inline unsigned long long __float2ull_rn(float x) {
  if (!(x > 0)) return 0;
  return x < 0x1p64f ? static_cast<unsigned long long>(std::rint(x)) : ~0ull;
}

template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

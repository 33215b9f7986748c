// What CUDA C++ has no portable spelling for, as kernels of native/cuda write it: shared memory, tensor cores, async
// copies, packed halves, programmatic dependent launch. The other branch of native/cuda/gpu.h has the same as PTX.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "simt/device_functions.h"

namespace quipu::simt {

// Memory of the block, the same for all of its threads, told from other such memory by the address `key`.
void* staticShared(const void* key, size_t bytes, size_t alignment);
std::byte* dynamicShared();

enum class Pairs { kBf16, kHalf };
void multiply(Pairs pairs, float* d, const uint32_t* a, const uint32_t* b, Site site);
void loadMatrices(uint32_t* r, const void* row, bool transposed, Site site);
void copyAsync(void* shared, const void* global, bool present, Site site);
void commitCopies();
void waitForCopies(uint32_t groupsLeft);
void waitForPredecessor();
void letSuccessorStart();

uint32_t packBf16(float low, float high);
uint16_t halfOf(float value);
float floatOfHalf(uint16_t bits);
uint32_t fma2(uint32_t a, uint32_t b, uint32_t c);

}  // namespace quipu::simt

// `name` is a reference to the block's `type`, an array with its bounds.
#define SHARED(type, name)                                                        \
  using QuipuSimtShared_##name = type;                                            \
  auto& name = *static_cast<QuipuSimtShared_##name*>(::quipu::simt::staticShared( \
      [] {                                                                        \
        static constexpr char key = 0;                                            \
        return static_cast<const void*>(&key);                                    \
      }(),                                                                        \
      sizeof(QuipuSimtShared_##name), alignof(QuipuSimtShared_##name)))

// `name` is a std::byte* to the shared memory that the launch asked for, 128-aligned.
#define DYNAMIC_SHARED(name) std::byte* const name = ::quipu::simt::dynamicShared()

inline void mmaBf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], SimtSite site = SimtSite::here()) {
  quipu::simt::multiply(quipu::simt::Pairs::kBf16, d, a, b, site);
}
inline void mmaHalf(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], SimtSite site = SimtSite::here()) {
  quipu::simt::multiply(quipu::simt::Pairs::kHalf, d, a, b, site);
}
inline void ldmatrix4(uint32_t (&r)[4], const void* shared, SimtSite site = SimtSite::here()) {
  quipu::simt::loadMatrices(r, shared, false, site);
}
inline void ldmatrix4Transposed(uint32_t (&r)[4], const void* shared, SimtSite site = SimtSite::here()) {
  quipu::simt::loadMatrices(r, shared, true, site);
}
template <bool kOnce = false>
inline void copyAsync16(void* shared, const void* global, bool present, SimtSite site = SimtSite::here()) {
  quipu::simt::copyAsync(shared, global, present, site);
}
inline void copyAsyncCommit() { quipu::simt::commitCopies(); }
template <int N>
void copyAsyncWait() {
  quipu::simt::waitForCopies(N);
}
inline void waitForPredecessor() { quipu::simt::waitForPredecessor(); }
inline void letSuccessorStart() { quipu::simt::letSuccessorStart(); }

// Bit i of LUT is the result where the bits of a, b and c are those of i (a the highest).
template <int LUT>
constexpr uint32_t lop3(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t result = 0;
  for (int i = 0; i < 8; ++i) {
    if (LUT >> i & 1) result |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
  }
  return result;
}
// ex2.approx.ftz: subnormals are 0, on both sides.
inline float powerOfTwo(float x) {
  const float power = std::exp2(std::fabs(x) < 0x1p-126f ? 0.0f : x);
  return power < 0x1p-126f ? 0.0f : power;
}
inline uint32_t bf16Pair(float low, float high) { return quipu::simt::packBf16(low, high); }
inline uint16_t halfBits(float value) { return quipu::simt::halfOf(value); }
inline float halfToFloat(uint16_t bits) { return quipu::simt::floatOfHalf(bits); }
inline uint32_t halfPair(float low, float high) { return halfBits(low) | static_cast<uint32_t>(halfBits(high)) << 16; }
inline uint32_t halfFma2(uint32_t a, uint32_t b, uint32_t c) { return quipu::simt::fma2(a, b, c); }

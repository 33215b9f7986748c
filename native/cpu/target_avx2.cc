// The kernels for AVX2, FMA and F16C (Haswell, Zen and later). The intrinsics are declared here, outside the namespace
// that simd/avx2.h is included into.
#include <immintrin.h>

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::avx2 {
// clang-format off
#include "cpu/simd/avx2.h"
#include "cpu/simd/avx2_nibbles.h"
#include "cpu/simd/avx2_dots.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::avx2

namespace quipu::cpu {

const Target& avx2Target() {
  static constexpr Target target = avx2::makeTarget("avx2");
  return target;
}

}  // namespace quipu::cpu

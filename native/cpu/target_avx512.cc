// The kernels for AVX-512 F, BW, VL and DQ (Skylake-X and later). The intrinsics are declared here, outside the
// namespace that simd/avx512.h is included into.
#include <immintrin.h>

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::avx512 {
// clang-format off
#include "cpu/simd/avx512.h"
#include "cpu/simd/avx512_nibbles.h"
#include "cpu/simd/avx512_dots.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::avx512

namespace quipu::cpu {

const Target& avx512Target() {
  static constexpr Target target = avx512::makeTarget("avx512");
  return target;
}

}  // namespace quipu::cpu

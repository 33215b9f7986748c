// The kernels for AVX-512 F, BW, VL, DQ and VNNI (Cascade Lake, Zen 4 and later). The intrinsics are declared here,
// outside the namespace that simd/avx512.h is included into.
#include <immintrin.h>

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::avx512_vnni {
// clang-format off
#include "cpu/simd/avx512.h"
#include "cpu/simd/avx512_nibbles.h"
#include "cpu/simd/avx512_vnni_dots.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::avx512_vnni

namespace quipu::cpu {

const Target& avx512VnniTarget() {
  static constexpr Target target = avx512_vnni::makeTarget("avx512-vnni");
  return target;
}

}  // namespace quipu::cpu

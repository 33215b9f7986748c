// The kernels for AVX2, FMA, F16C and AVX-VNNI (Alder Lake to Arrow Lake, Sierra Forest: VNNI without AVX-512). The
// intrinsics are declared here, outside the namespace that simd/avx2.h is included into.
#include <immintrin.h>

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::avx_vnni {
// clang-format off
#include "cpu/simd/avx2.h"
#include "cpu/simd/avx2_nibbles.h"
#include "cpu/simd/avx_vnni_dots.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::avx_vnni

namespace quipu::cpu {

const Target& avxVnniTarget() {
  static constexpr Target target = avx_vnni::makeTarget("avx-vnni");
  return target;
}

}  // namespace quipu::cpu

// The kernels of the avx512 target, compiled for a machine without AVX-512: "avx512-emulated", a target of the test
// build.
#include <immintrin.h>

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::avx512_emulated {
// clang-format off
#include "emulated/avx512.h"
#include "cpu/simd/avx512.h"
#include "cpu/simd/avx512_nibbles.h"
#include "cpu/simd/avx512_dots.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::avx512_emulated

namespace quipu::cpu {

const Target& emulatedAvx512Target() {
  static constexpr Target target = avx512_emulated::makeTarget("avx512-emulated");
  return target;
}

}  // namespace quipu::cpu

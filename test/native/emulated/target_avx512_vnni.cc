// The kernels of the avx512-vnni target, compiled for a machine without: "avx512-vnni-emulated", a target of the test
// build.
#include <immintrin.h>

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::avx512_vnni_emulated {
// clang-format off
#include "emulated/avx512.h"
#include "cpu/simd/avx512.h"
#include "cpu/simd/avx512_nibbles.h"
#include "cpu/simd/avx512_vnni_dots.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::avx512_vnni_emulated

namespace quipu::cpu {

const Target& emulatedAvx512VnniTarget() {
  static constexpr Target target = avx512_vnni_emulated::makeTarget("avx512-vnni-emulated");
  return target;
}

}  // namespace quipu::cpu

// The kernels of the avx-vnni target, compiled for a machine without: "avx-vnni-emulated", a target of the test
// build.
#include <immintrin.h>

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::avx_vnni_emulated {
// clang-format off
#include "emulated/avx512.h"
#include "cpu/simd/avx2.h"
#include "cpu/simd/avx2_nibbles.h"
#include "cpu/simd/avx_vnni_dots.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::avx_vnni_emulated

namespace quipu::cpu {

const Target& emulatedAvxVnniTarget() {
  static constexpr Target target = avx_vnni_emulated::makeTarget("avx-vnni-emulated");
  return target;
}

}  // namespace quipu::cpu

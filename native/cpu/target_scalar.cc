// The kernels in plain C++: the definition of every result, and what runs where no wider target does.
#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::cpu::scalar {
// clang-format off
#include "cpu/simd/scalar.h"
#include "cpu/simd/scalar_dots.h"
#include "cpu/simd/scalar_nibbles.h"
#include "cpu/kernels/all.h"
// clang-format on
}  // namespace quipu::cpu::scalar

namespace quipu::cpu {

const Target& scalarTarget() {
  static constexpr Target target = scalar::makeTarget("scalar");
  return target;
}

}  // namespace quipu::cpu

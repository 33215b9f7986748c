// cpu/kernels/roofline.h over the instruction set of three files of simd/, as QUIPU_LOOPS: compiled once for each.
#include "roofline_loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "cpu/inline.h"
#include "cpu/kernel.h"

namespace quipu::test {

namespace QUIPU_LOOPS {
// clang-format off
#include QUIPU_FIRST
#include QUIPU_SECOND
#include QUIPU_THIRD
#include "cpu/kernels/roofline.h"
// clang-format on
}  // namespace QUIPU_LOOPS

#define QUIPU_JOIN(name, suffix) name##suffix
#define QUIPU_LOOPS_OF(name) QUIPU_JOIN(name, Loops)
RooflineLoops QUIPU_LOOPS_OF(QUIPU_LOOPS)() {
  return {QUIPU_LOOPS::multiplyAddLoop, QUIPU_LOOPS::integerLoop, QUIPU_LOOPS::readLoop};
}

}  // namespace quipu::test

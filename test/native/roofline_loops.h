// The loops that roofs are measured with, of the instruction sets that this compiler has flags for (CMakeLists.txt).
#pragma once

#include <cstddef>
#include <cstdint>

namespace quipu::test {

struct RooflineLoops {
  double (*multiplyAdd)(uint64_t iterations);
  double (*integer)(uint64_t iterations);
  uint64_t (*read)(const void* data, size_t bytes, uint32_t streams, size_t ahead);
};

RooflineLoops scalarLoops();
RooflineLoops avx2Loops();
RooflineLoops avxVnniLoops();
RooflineLoops avx512Loops();
RooflineLoops avx512VnniLoops();

}  // namespace quipu::test

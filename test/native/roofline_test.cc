// The loops of cpu/kernels/roofline.h do what they say they did: no clock is looked at.
#include <cstring>
#include <vector>

#include "checks.h"
#include "cpu/features.h"
#include "roofline_loops.h"

namespace quipu::test {

namespace {

// More rounds than a chain of sums holds, as many, and fewer.
void testOperations(double (*loop)(uint64_t iterations)) {
  const double one = loop(1);
  QUIPU_EXPECT(one > 0);
  for (const uint64_t rounds : {0, 2, 524'287, 524'288, 524'289, 1'200'001}) {
    QUIPU_EXPECT(loop(rounds) == static_cast<double>(rounds) * one);
  }
}

// The xor of everything, in each pattern; a word that is left out or read twice changes it.
uint64_t testReads(const RooflineLoops& loops) {
  alignas(64) static uint8_t data[64 * 70];
  uint64_t word = 1, checked = 0;
  for (uint8_t& byte : data)
    byte = static_cast<uint8_t>((word = word * 6364136223846793005u + 1442695040888963407u) >> 56);
  for (size_t bytes = 0; bytes <= sizeof data; bytes += bytes < 1200 ? 1 : 64) {
    uint64_t expected = 0;
    for (size_t i = 0; i < bytes; ++i) expected ^= uint64_t{data[i]} << (8 * (i % 8));
    for (const uint32_t streams : {1, 2, 4, 8}) {
      for (const size_t ahead : {0, 4096}) {
        QUIPU_EXPECT(loops.read(data, bytes, streams, ahead) == expected);
        ++checked;
      }
    }
  }
  return checked;
}

}  // namespace

uint64_t testRoofline() {
  std::vector<RooflineLoops> all = {scalarLoops()};
#if defined(__x86_64__)
  const cpu::Features features = cpu::readFeatures();
  if (features.avx2) all.push_back(avx2Loops());
  if (features.avxVnni) all.push_back(avxVnniLoops());
  if (features.avx512) all.push_back(avx512Loops());
  if (features.avx512Vnni) all.push_back(avx512VnniLoops());
#endif
  uint64_t checked = 0;
  for (const RooflineLoops& loops : all) {
    testOperations(loops.multiplyAdd);
    testOperations(loops.integer);
    // Sixteen lanes of 32 products, each of which is two operations, in whole chains.
    const auto operations = static_cast<uint64_t>(loops.integer(1));
    QUIPU_EXPECT(operations % (16 * 32 * 2) == 0);
    checked += testReads(loops);
  }
  return checked;
}

}  // namespace quipu::test

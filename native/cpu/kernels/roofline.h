// The roofs of this machine, for `quipu doctor` and the benchmarks: what no kernel of this target can exceed.

// Fused multiply-adds on registers, in enough independent chains to hide their latency (4 cycles, 2 a cycle: 8 chains
// of one register); more than 16 the compiler keeps in memory, at a third of the speed. Returns the floating-point
// operations done: 2 per lane and multiply-add.
static double multiplyAddLoop(uint64_t iterations) {
  constexpr int kChains = kWideRegisters >= 32 ? 16 : kWideRegisters * 3 / 4;
  f32x16 chains[kChains];
  volatile float start = 0.5f;  // keeps the compiler from computing the loop
  const f32x16 factor = broadcast(start), term = broadcast(start);
  for (f32x16& chain : chains) chain = term;
  for (uint64_t i = 0; i < iterations; ++i) {
#pragma GCC unroll 32
    for (f32x16& chain : chains) chain = fma(chain, factor, term);
  }
  f32x16 total = zero();
  for (f32x16 chain : chains) total = add(total, chain);
  start = sum(total);
  return double(iterations) * kChains * 16 * 2;
}

// Products of whole numbers, eight to a lane and addend as fast as the instruction set makes them (addOnes), in chains
// as above. All of them are of 1 by 1, so that the sums count what was done: every lane to less than 2²⁴, which its
// total as f32 still has exactly, and then from 0 again.
static double integerLoop(uint64_t iterations) {
  constexpr int kChains = kWideRegisters >= 32 ? 12 : kFusedDots ? 6 : 4;
  constexpr uint64_t kLaneProducts = 32;  // of a round
  alignas(64) int8_t ones[64];
  for (int8_t& one : ones) one = 1;
  double products = 0;
  while (iterations > 0) {
    const uint64_t rounds = iterations < (1 << 24) / kLaneProducts ? iterations : (1 << 24) / kLaneProducts - 1;
    dots16 chains[kChains];
    for (dots16& chain : chains) chain = dotsOf(0);
    changed(chains);  // or the compiler makes one chain of those that are alike
    for (uint64_t i = 0; i < rounds; ++i) addOnes(chains, ones);
    for (const dots16& chain : chains) {
      float lanes[16];
      store(lanes, totals(chain));
      for (const float lane : lanes) products += double(lane);
    }
    iterations -= rounds;
  }
  return 2 * products;
}

// Reads everything once and folds it with xor, which no bit pattern slows down. How many streams there should be, and
// how far ahead they are to be fetched, differs from machine to machine by up to a third, and with what others do on
// it: a roof is the best of several (cpu/roofs.cc). Vectors are of the target's registers: wider ones the compiler
// keeps in memory, and one stream reads 8 GB/s.
template <size_t kStreams>
static uint64_t readStreams(const void* data, size_t bytes, size_t ahead) {
  constexpr size_t kLine = 64, kWidth = kWideRegisters >= 32 ? 64 : kWideRegisters >= 8 ? 32 : 16;
  typedef uint64_t Register __attribute__((vector_size(kWidth), may_alias));
  const char* from = static_cast<const char*>(data);
  const size_t part = bytes / kLine / kStreams * kLine;
  Register folded[kStreams][kLine / kWidth] = {};
  for (size_t i = 0; i < part; i += kLine) {
#pragma GCC unroll 8
    for (size_t s = 0; s < kStreams; ++s) {
      const char* line = from + s * part + i;
      __builtin_prefetch(line + ahead, 0, 3);
#pragma GCC unroll 8
      for (size_t r = 0; r < kLine / kWidth; ++r) folded[s][r] ^= reinterpret_cast<const Register*>(line)[r];
    }
  }
  uint64_t result = 0;
  for (const auto& stream : folded) {
    for (const Register& words : stream) {
      for (size_t i = 0; i < kWidth / 8; ++i) result ^= words[i];
    }
  }
  for (size_t i = part * kStreams; i < bytes; ++i) result ^= uint64_t(uint8_t(from[i])) << (8 * (i % 8));
  return result;
}

static uint64_t readLoop(const void* data, size_t bytes, uint32_t streams, size_t ahead) {
  switch (streams) {
    case 1:
      return readStreams<1>(data, bytes, ahead);
    case 2:
      return readStreams<2>(data, bytes, ahead);
    case 4:
      return readStreams<4>(data, bytes, ahead);
    default:
      return readStreams<8>(data, bytes, ahead);
  }
}

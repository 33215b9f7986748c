// The two roofs of this machine, for `quipu doctor` and the benchmarks: what no kernel of this target can exceed.

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

// Reads everything once and folds it with xor, which no bit pattern slows down: eight streams side by side, each
// prefetched over the ends of its pages, which the hardware's own prefetch stops at. Fewer streams, or none prefetched,
// read up to a fifth less.
static uint64_t readLoop(const void* data, size_t bytes) {
  typedef uint64_t Line __attribute__((vector_size(64), aligned(64), may_alias));
  constexpr size_t kStreams = 8, kAhead = 8;  // lines
  const Line* lines = static_cast<const Line*>(data);
  const size_t count = bytes / 64, part = count / kStreams;
  Line folded[kStreams] = {};
  for (size_t i = 0; i < part; ++i) {
#pragma GCC unroll 8
    for (size_t s = 0; s < kStreams; ++s) {
      __builtin_prefetch(lines + s * part + i + kAhead, 0, 3);
      folded[s] ^= lines[s * part + i];
    }
  }
  for (size_t i = part * kStreams; i < count; ++i) folded[0] ^= lines[i];
  for (size_t s = 1; s < kStreams; ++s) folded[0] ^= folded[s];
  uint64_t result = 0;
  for (int i = 0; i < 8; ++i) result ^= folded[0][i];
  const unsigned char* rest = static_cast<const unsigned char*>(data) + count * 64;
  for (size_t i = 0; i < bytes % 64; ++i) result ^= uint64_t(rest[i]) << (8 * (i % 8));
  return result;
}

// The weights of a row of logits, exp((logit − greatest) / temperature), and their sums (docs/numerics.md, sample).

static constexpr size_t kSampleBlock = 512;

QUIPU_INLINE size_t blocksOf(size_t count) { return (count + kSampleBlock - 1) / kSampleBlock; }

// log of x ≥ 1: x = m · 2ᵉ with m in [√½, √2), log m = 2 artanh((m − 1) / (m + 1)). Relative error below 2⁻⁵⁰.
static double logarithm(double x) {
  const auto bits = __builtin_bit_cast(uint64_t, x);
  int64_t exponent = int64_t(bits >> 52) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000);
  if (m > 0x1.6a09e667f3bcdp+0) m *= 0.5, ++exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 1.0 / 23;
  for (int n = 21; n >= 1; n -= 2) series = __builtin_fma(series, z, 1.0 / n);
  return __builtin_fma(double(exponent), 0x1.62e42fefa39efp-1, 2 * s * series);
}

// log Σ exp(logit − greatest): sixteen lanes over blocks, the blocks in f64.
static double logOfSum(const float* logits, size_t count, float greatest) {
  double total = 0;
  for (size_t first = 0; first < count; first += kSampleBlock) {
    const size_t end = first + kSampleBlock < count ? first + kSampleBlock : count;
    f32x16 lanes = zero();
    for (size_t i = first; i < end; i += 16) {
      const size_t n = end - i < 16 ? end - i : 16;
      const f32x16 weight = expOfNegative(sub(loadFirst(logits + i, n), broadcast(greatest)));
      lanes = add(lanes, n == 16 ? weight : select(firstLanes(n), weight, zero()));
    }
    total += double(sum(lanes));
  }
  return logarithm(total);
}

// The weights of a row, and what they count as.
struct Weighing {
  const float* logits;
  uint32_t count;
  float greatest, temperature;
  float scale;  // a weight counts as its product with it, to the nearest whole number; the sum of all is below 2⁶³

  static float scaleFor(uint32_t count) {
    const int bits = 32 - __builtin_clz(count), k = 63 - bits < 51 ? 63 - bits : 51;
    return float(uint64_t(1) << k);
  }
};

// Those of the ids first … first + n − 1, n ≤ 16; the others are 0.
QUIPU_INLINE f32x16 weightsAt(const Weighing& weighing, size_t first, size_t n) {
  f32x16 x = sub(loadFirst(weighing.logits + first, n), broadcast(weighing.greatest));
  if (weighing.temperature != 1.0f) x = div(x, broadcast(weighing.temperature));
  const f32x16 weight = expOfNegative(x);
  return n == 16 ? weight : select(firstLanes(n), weight, zero());
}

QUIPU_INLINE uint64_t wholeOf(float x) {
  uint64_t lanes[16];
  store(lanes, wholes(broadcast(x)));
  return lanes[0];
}

// What the weights of each block count together; keeps the weights where told to. Returns the sum.
static uint64_t weighBlocks(const Weighing& weighing, uint64_t* masses, float* kept) {
  uint64_t total = 0;
  for (size_t block = 0; block < blocksOf(weighing.count); ++block) {
    const size_t first = block * kSampleBlock;
    const size_t end = first + kSampleBlock < weighing.count ? first + kSampleBlock : weighing.count;
    u64x16 lanes = noWholes();
    for (size_t i = first; i < end; i += 16) {
      const size_t n = end - i < 16 ? end - i : 16;
      const f32x16 weight = weightsAt(weighing, i, n);
      if (kept != nullptr && n == 16) store(kept + i, weight);
      if (kept != nullptr && n < 16) storePart(kept + i, weight, n);
      lanes = add(lanes, wholes(mul(weight, broadcast(weighing.scale))));
    }
    masses[block] = sum(lanes);
    total += masses[block];
  }
  return total;
}

// Weights on the way to codes: sixteen rows across the lanes, 256 k at a time.

static constexpr size_t kQuantizeSpan = kQ4Super;

// A span of sixteen rows: [k][row].
struct alignas(64) WeightSpan {
  float at[kQuantizeSpan][kGroupRows];
  f32x16 lanes(size_t k) const { return load(at[k]); }
};

// Rounded to f16; a zero is +0.
QUIPU_INLINE f32x16 asF16(f32x16 v) {
  uint16_t bits[16];
  narrowF16(bits, v);
  return add(widenF16(bits), zero());
}

// The lanes, a bit each, that are no finite number.
QUIPU_INLINE uint32_t notFinite(f32x16 v) { return ~bits(lessEqual(abs(v), broadcast(0x1.fffffep127f))) & 0xffff; }

// 1 / v, and 0 where v is 0.
QUIPU_INLINE f32x16 inverseOf(f32x16 v) {
  const m16 none = equal(v, zero());
  return select(none, zero(), div(broadcast(1.0f), select(none, broadcast(1.0f), v)));
}

// Rotates the blocks of 32 that are whole (rotation.h), in the order of hadamard(). Returns the rows that become too
// large for f32.
static uint32_t rotateSpan(WeightSpan& span, size_t count) {
  uint32_t wrong = 0;
  for (size_t first = 0; first + kRotated <= count; first += kRotated) {
    for (size_t apart = 1; apart < kRotated; apart *= 2) {
      for (size_t k = 0; k < kRotated; ++k) {
        if ((k & apart) != 0) continue;
        const f32x16 a = span.lanes(first + k), b = span.lanes(first + k + apart);
        store(span.at[first + k], add(a, b));
        store(span.at[first + k + apart], sub(a, b));
      }
    }
    for (size_t k = first; k < first + kRotated; ++k) {
      const f32x16 rotated = mul(span.lanes(k), broadcast(kRotateWeights));
      wrong |= notFinite(rotated);
      store(span.at[k], rotated);
    }
  }
  return wrong;
}

// Reads `count` k of `rows` rows; rows and k beyond are 0. Returns the rows, a bit each, that hold a NaN or an
// infinity.
template <typename E>
static uint32_t readSpan(const E* from, size_t rows, size_t pitch, size_t count, WeightSpan& span) {
  uint32_t wrong = 0;
  for (size_t k = 0; k < count; k += 16) {
    const size_t n = count - k < 16 ? count - k : 16;
    f32x16 block[16];
    for (size_t r = 0; r < 16; ++r) {
      block[r] = r >= rows ? zero() : n == 16 ? loadWide(from + r * pitch + k) : loadWidePart(from + r * pitch + k, n);
      if (notFinite(block[r]) != 0) wrong |= 1u << r;
    }
    transpose(block);
    for (size_t i = 0; i < 16; ++i) store(span.at[k + i], block[i]);
  }
  return wrong;
}

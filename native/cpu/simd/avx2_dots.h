// dots16 as two 256-bit registers (AVX2). The functions are described in simd/scalar_dots.h.
//
// vpmaddubsw takes an unsigned and a signed operand: |w|, and a with w's sign. Two products are at most
// 2 · 128 · 127 = 32,512, which fits 16 bits.

static constexpr bool kFusedDots = false;

struct codes16 {
  __m256i w[2], magnitude[2];
};

struct dots16 {
  __m256i half[2];
};

QUIPU_INLINE codes16 loadCodes(const int8_t* p) {
  codes16 codes;
  for (int h = 0; h < 2; ++h) {
    codes.w[h] = _mm256_loadu_si256((const __m256i*)(p + 32 * h));
    codes.magnitude[h] = _mm256_abs_epi8(codes.w[h]);
  }
  return codes;
}

QUIPU_INLINE dots16 dotsOf(int32_t) { return {{_mm256_setzero_si256(), _mm256_setzero_si256()}}; }

QUIPU_INLINE dots16 dot(dots16 sums, const codes16& w, const int8_t* a) {
  const __m256i x = fourOf(a), ones = _mm256_set1_epi16(1);
  for (int h = 0; h < 2; ++h) {
    const __m256i pairs = _mm256_maddubs_epi16(w.magnitude[h], _mm256_sign_epi8(x, w.w[h]));
    sums.half[h] = _mm256_add_epi32(sums.half[h], _mm256_madd_epi16(pairs, ones));
  }
  return sums;
}

// Products of small operands may be added as 16 bits, so that only every eighth vpmaddubsw has a vpmaddwd after it.
template <int kChains>
QUIPU_INLINE void addOnes(dots16 (&sums)[kChains], const int8_t* ones) {
  const __m256i w = _mm256_load_si256((const __m256i*)ones);
#pragma GCC unroll 32
  for (dots16& chain : sums) {
    for (__m256i& half : chain.half) {
      __m256i pairs = _mm256_setzero_si256();
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        changed(ones);
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(w, _mm256_load_si256((const __m256i*)ones)));
      }
      half = _mm256_add_epi32(half, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
  }
}

QUIPU_INLINE f32x16 totals(const dots16& sums) {
  return {_mm256_cvtepi32_ps(sums.half[0]), _mm256_cvtepi32_ps(sums.half[1])};
}

// Sums of weights of four bits (simd/scalar_nibbles.h) stay in 16 bits, two of each row: eight times two products of at
// most 15 · 127 are 30,480. vpmaddwd by a factor widens them.
struct partial16 {
  __m256i half[2];
};

QUIPU_INLINE partial16 noPartial() { return {{_mm256_setzero_si256(), _mm256_setzero_si256()}}; }

QUIPU_INLINE partial16 dot(partial16 sums, const ucodes16& w, const int8_t* a) {
  const __m256i x = fourOf(a);
  for (int h = 0; h < 2; ++h) sums.half[h] = _mm256_add_epi16(sums.half[h], _mm256_maddubs_epi16(w.half[h], x));
  return sums;
}

QUIPU_INLINE dots16 dotTwo(dots16 sums, const ucodes16& w0, const ucodes16& w1, const int8_t* a) {
  const __m256i x0 = fourOf(a), x1 = fourOf(a + 4), ones = _mm256_set1_epi16(1);
  for (int h = 0; h < 2; ++h) {
    const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(w0.half[h], x0), _mm256_maddubs_epi16(w1.half[h], x1));
    sums.half[h] = _mm256_add_epi32(sums.half[h], _mm256_madd_epi16(pairs, ones));
  }
  return sums;
}

QUIPU_INLINE dots16 dotsFrom(int32_t first) { return {{_mm256_set1_epi32(first), _mm256_set1_epi32(first)}}; }

using scaled16 = dots16;

// Each factor twice.
using factors16 = pairs16;

QUIPU_INLINE factors16 factorsOf(const pairs16& factors, int which) {
  factors16 twice;
  for (int h = 0; h < 2; ++h) {
    const __m256i two = factors.half[h];
    twice.half[h] = which == 0 ? _mm256_blend_epi16(two, _mm256_slli_epi32(two, 16), 0xaa)
                               : _mm256_blend_epi16(_mm256_srli_epi32(two, 16), two, 0xaa);
  }
  return twice;
}

QUIPU_INLINE scaled16 noScaled() { return dotsFrom(0); }

QUIPU_INLINE scaled16 addScaled(scaled16 total, const partial16& sums, const factors16& factors) {
  for (int h = 0; h < 2; ++h) {
    total.half[h] = _mm256_add_epi32(total.half[h], _mm256_madd_epi16(sums.half[h], factors.half[h]));
  }
  return total;
}

QUIPU_INLINE dots16 addScaled(const dots16& total, const partial16& sums, const pairs16& factors, int which) {
  return addScaled(total, sums, factorsOf(factors, which));
}

QUIPU_INLINE f32x16 totals(const scaled16& a, const scaled16& b) {
  return totals(dots16{{_mm256_add_epi32(a.half[0], b.half[0]), _mm256_add_epi32(a.half[1], b.half[1])}});
}

QUIPU_INLINE dots16 addPairs(dots16 total, const pairs16& factors, const int16_t* two) {
  const __m256i x = fourOf(two);
  for (int h = 0; h < 2; ++h) total.half[h] = _mm256_add_epi32(total.half[h], _mm256_madd_epi16(factors.half[h], x));
  return total;
}

// dots16 as two 256-bit registers (AVX-VNNI). The functions are described in simd/scalar_dots.h.
//
// As in avx512_vnni_dots.h: vpdpbusd takes an unsigned operand, w + 128, and sums begin at −128 · Σ a.

static constexpr bool kFusedDots = true;

struct codes16 {
  __m256i half[2];
};

// As lanes of the type that the sums have, as in avx512_vnni_dots.h.
struct dots16 {
  typedef int32_t Half __attribute__((vector_size(32)));
  Half half[2];
};

QUIPU_INLINE __m256i lanesOf(dots16::Half sums) { return __builtin_bit_cast(__m256i, sums); }
QUIPU_INLINE dots16::Half sumsOf(__m256i lanes) { return __builtin_bit_cast(dots16::Half, lanes); }

QUIPU_INLINE codes16 loadCodes(const int8_t* p) {
  codes16 codes;
  for (int h = 0; h < 2; ++h) {
    codes.half[h] = _mm256_xor_si256(_mm256_loadu_si256((const __m256i*)(p + 32 * h)), _mm256_set1_epi8(char(0x80)));
  }
  return codes;
}

QUIPU_INLINE dots16 dotsFrom(int32_t first) {
  const dots16::Half half = sumsOf(_mm256_set1_epi32(first));
  return {{half, half}};
}

QUIPU_INLINE dots16 dotsOf(int32_t first) { return dotsFrom(first); }

QUIPU_INLINE dots16 addDots(dots16 sums, const __m256i (&w)[2], const int8_t* a) {
  const __m256i x = fourOf(a);
  for (int h = 0; h < 2; ++h) sums.half[h] = sumsOf(_mm256_dpbusd_avx_epi32(lanesOf(sums.half[h]), w[h], x));
  return sums;
}

QUIPU_INLINE dots16 dot(dots16 sums, const codes16& w, const int8_t* a) { return addDots(sums, w.half, a); }

template <int kChains>
QUIPU_INLINE void addOnes(dots16 (&sums)[kChains], const int8_t* ones) {
  const __m256i x = _mm256_load_si256((const __m256i*)ones);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
#pragma GCC unroll 32
    for (dots16& chain : sums) {
      for (dots16::Half& half : chain.half) half = sumsOf(_mm256_dpbusd_avx_epi32(lanesOf(half), x, x));
    }
  }
}

QUIPU_INLINE f32x16 totals(const dots16& sums) {
  return {_mm256_cvtepi32_ps(lanesOf(sums.half[0])), _mm256_cvtepi32_ps(lanesOf(sums.half[1]))};
}

// Of weights of four and six bits (simd/scalar_nibbles.h): sums in 32 bits need no widening.
using partial16 = dots16;

QUIPU_INLINE partial16 noPartial() { return dotsFrom(0); }

QUIPU_INLINE dots16 dot(dots16 sums, const ucodes16& w, const int8_t* a) { return addDots(sums, w.half, a); }

QUIPU_INLINE __m256i oneOf(const pairs16& factors, int h, int which) {
  return which == 0 ? _mm256_and_si256(factors.half[h], _mm256_set1_epi32(0xffff))
                    : _mm256_srli_epi32(factors.half[h], 16);
}

QUIPU_INLINE dots16 addScaled(dots16 total, const partial16& sums, const pairs16& factors, int which) {
  for (int h = 0; h < 2; ++h) {
    const __m256i scaled = _mm256_mullo_epi32(lanesOf(sums.half[h]), oneOf(factors, h, which));
    total.half[h] = sumsOf(_mm256_add_epi32(lanesOf(total.half[h]), scaled));
  }
  return total;
}

// As f32, as in avx512_vnni_dots.h.
using scaled16 = f32x16;
using factors16 = f32x16;

QUIPU_INLINE factors16 factorsOf(const pairs16& factors, int which) {
  return {_mm256_cvtepi32_ps(oneOf(factors, 0, which)), _mm256_cvtepi32_ps(oneOf(factors, 1, which))};
}

QUIPU_INLINE scaled16 noScaled() { return zero(); }

QUIPU_INLINE scaled16 addScaled(scaled16 total, const partial16& sums, factors16 factors) {
  return fma(totals(sums), factors, total);
}

QUIPU_INLINE f32x16 totals(scaled16 a, scaled16 b) { return add(a, b); }

QUIPU_INLINE dots16 addPairs(dots16 total, const pairs16& factors, const int16_t* two) {
  const __m256i x = fourOf(two);
  for (int h = 0; h < 2; ++h) {
    total.half[h] = sumsOf(_mm256_dpwssd_avx_epi32(lanesOf(total.half[h]), factors.half[h], x));
  }
  return total;
}

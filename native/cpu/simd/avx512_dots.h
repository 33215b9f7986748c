// dots16 as one 512-bit register (AVX-512 BW, without VNNI). The functions are described in simd/scalar_dots.h.
//
// As in avx2_dots.h; the sign is a mask here.

struct codes16 {
  __m512i magnitude;
  __mmask64 negative;
};

struct dots16 {
  __m512i v;
};

QUIPU_INLINE codes16 loadCodes(const int8_t* p) {
  const __m512i w = _mm512_loadu_si512(p);
  return {_mm512_abs_epi8(w), _mm512_movepi8_mask(w)};
}

QUIPU_INLINE dots16 noDots() { return {_mm512_setzero_si512()}; }

QUIPU_INLINE dots16 dot(dots16 sums, const codes16& w, const int8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, 4);
  const __m512i x = _mm512_set1_epi32(four);
  const __m512i signedX = _mm512_mask_sub_epi8(x, w.negative, _mm512_setzero_si512(), x);
  const __m512i pairs = _mm512_maddubs_epi16(w.magnitude, signedX);
  return {_mm512_add_epi32(sums.v, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
}

template <int kChains>
QUIPU_INLINE void addOnes(dots16 (&sums)[kChains], const int8_t* ones) {
  const __m512i w = _mm512_loadu_si512(ones);
#pragma GCC unroll 32
  for (dots16& chain : sums) {
    __m512i pairs = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      changed(ones);
      pairs = _mm512_add_epi16(pairs, _mm512_maddubs_epi16(w, _mm512_loadu_si512(ones)));
    }
    chain.v = _mm512_add_epi32(chain.v, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
}

QUIPU_INLINE f32x16 totals(dots16 sums, int32_t) { return {_mm512_cvtepi32_ps(sums.v)}; }

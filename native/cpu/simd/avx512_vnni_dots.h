// dots16 as one 512-bit register (AVX-512 VNNI). The functions are described in simd/scalar_dots.h.
//
// vpdpbusd takes an unsigned operand, w + 128: 128 · Σ a is taken off in the end.

struct codes16 {
  __m512i v;
};

struct dots16 {
  __m512i v;
};

QUIPU_INLINE codes16 loadCodes(const int8_t* p) {
  return {_mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(int(0x80808080)))};
}

QUIPU_INLINE dots16 noDots() { return {_mm512_setzero_si512()}; }

QUIPU_INLINE dots16 dot(dots16 sums, const codes16& w, const int8_t* a) {
  int32_t four;
  __builtin_memcpy(&four, a, 4);
  return {_mm512_dpbusd_epi32(sums.v, w.v, _mm512_set1_epi32(four))};
}

template <int kChains>
QUIPU_INLINE void addOnes(dots16 (&sums)[kChains], const int8_t* ones) {
  const __m512i x = _mm512_loadu_si512(ones);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
#pragma GCC unroll 32
    for (dots16& chain : sums) chain.v = _mm512_dpbusd_epi32(chain.v, x, x);
  }
}

QUIPU_INLINE f32x16 totals(dots16 sums, int32_t sumOfA) {
  return {_mm512_cvtepi32_ps(_mm512_sub_epi32(sums.v, _mm512_set1_epi32(sumOfA * 128)))};
}

// dots16 as one 512-bit register (AVX-512 BW, without VNNI). The functions are described in simd/scalar_dots.h.
//
// As in avx2_dots.h; the sign is a mask here.

static constexpr bool kFusedDots = false;

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

QUIPU_INLINE dots16 dotsOf(int32_t) { return {_mm512_setzero_si512()}; }

QUIPU_INLINE dots16 dot(dots16 sums, const codes16& w, const int8_t* a) {
  const __m512i x = fourOf(a);
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

QUIPU_INLINE f32x16 totals(const dots16& sums) { return {_mm512_cvtepi32_ps(sums.v)}; }

// Sums of weights of four bits (simd/scalar_nibbles.h) stay in 16 bits, two of each row: eight times two products of at
// most 15 · 127 are 30,480. vpmaddwd by a factor widens them.
struct partial16 {
  __m512i v;
};

QUIPU_INLINE partial16 noPartial() { return {_mm512_setzero_si512()}; }

QUIPU_INLINE partial16 dot(partial16 sums, const ucodes16& w, const int8_t* a) {
  return {_mm512_add_epi16(sums.v, _mm512_maddubs_epi16(w.v, fourOf(a)))};
}

QUIPU_INLINE dots16 dotTwo(dots16 sums, const ucodes16& w0, const ucodes16& w1, const int8_t* a) {
  const __m512i pairs =
      _mm512_add_epi16(_mm512_maddubs_epi16(w0.v, fourOf(a)), _mm512_maddubs_epi16(w1.v, fourOf(a + 4)));
  return {_mm512_add_epi32(sums.v, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))};
}

QUIPU_INLINE dots16 dotsFrom(int32_t first) { return {_mm512_set1_epi32(first)}; }

using scaled16 = dots16;

// Each factor twice.
using factors16 = pairs16;

QUIPU_INLINE factors16 factorsOf(const pairs16& factors, int which) {
  const __m512i two = factors.v;
  return {which == 0 ? _mm512_mask_blend_epi16(0xaaaaaaaa, two, _mm512_slli_epi32(two, 16))
                     : _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(two, 16), two)};
}

QUIPU_INLINE scaled16 noScaled() { return dotsFrom(0); }

QUIPU_INLINE scaled16 addScaled(const scaled16& total, const partial16& sums, const factors16& factors) {
  return {_mm512_add_epi32(total.v, _mm512_madd_epi16(sums.v, factors.v))};
}

QUIPU_INLINE dots16 addScaled(const dots16& total, const partial16& sums, const pairs16& factors, int which) {
  return addScaled(total, sums, factorsOf(factors, which));
}

QUIPU_INLINE f32x16 totals(const scaled16& a, const scaled16& b) { return totals(dots16{_mm512_add_epi32(a.v, b.v)}); }

QUIPU_INLINE dots16 addPairs(dots16 total, const pairs16& factors, const int16_t* two) {
  return {_mm512_add_epi32(total.v, _mm512_madd_epi16(factors.v, fourOf(two)))};
}

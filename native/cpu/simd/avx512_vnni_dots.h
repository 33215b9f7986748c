// dots16 as one 512-bit register (AVX-512 VNNI). The functions are described in simd/scalar_dots.h.
//
// vpdpbusd takes an unsigned operand, w + 128: sums begin at −128 · Σ a.

static constexpr bool kFusedDots = true;

struct codes16 {
  __m512i v;
};

// As lanes of the type that the sums have: of __m512i, gcc 12 stores each sum of a tile to memory after every addition.
struct dots16 {
  int32_t v __attribute__((vector_size(64)));

  explicit dots16(__m512i sums) : v(__builtin_bit_cast(decltype(v), sums)) {}
  dots16() = default;
  __m512i lanes() const { return __builtin_bit_cast(__m512i, v); }
};

QUIPU_INLINE codes16 loadCodes(const int8_t* p) {
  return {_mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(int(0x80808080)))};
}

QUIPU_INLINE dots16 dotsOf(int32_t first) { return dots16(_mm512_set1_epi32(first)); }

QUIPU_INLINE dots16 dot(dots16 sums, const codes16& w, const int8_t* a) {
  return dots16(_mm512_dpbusd_epi32(sums.lanes(), w.v, fourOf(a)));
}

template <int kChains>
QUIPU_INLINE void addOnes(dots16 (&sums)[kChains], const int8_t* ones) {
  const __m512i x = _mm512_loadu_si512(ones);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
#pragma GCC unroll 32
    for (dots16& chain : sums) chain = dots16(_mm512_dpbusd_epi32(chain.lanes(), x, x));
  }
}

QUIPU_INLINE f32x16 totals(const dots16& sums) { return {_mm512_cvtepi32_ps(sums.lanes())}; }

// Of weights of four and six bits (simd/scalar_nibbles.h): sums in 32 bits need no widening.
using partial16 = dots16;

QUIPU_INLINE partial16 noPartial() { return dots16(_mm512_setzero_si512()); }

QUIPU_INLINE dots16 dot(dots16 sums, const ucodes16& w, const int8_t* a) {
  return dots16(_mm512_dpbusd_epi32(sums.lanes(), w.v, fourOf(a)));
}

QUIPU_INLINE dots16 dotsFrom(int32_t first) { return dots16(_mm512_set1_epi32(first)); }

QUIPU_INLINE __m512i oneOf(const pairs16& factors, int which) {
  return which == 0 ? _mm512_and_si512(factors.v, _mm512_set1_epi32(0xffff)) : _mm512_srli_epi32(factors.v, 16);
}

QUIPU_INLINE dots16 addScaled(dots16 total, const partial16& sums, const pairs16& factors, int which) {
  return dots16(_mm512_add_epi32(total.lanes(), _mm512_mullo_epi32(sums.lanes(), oneOf(factors, which))));
}

// As f32, whose fma takes half the time of vpmulld and vpaddd (Zen 5), once the factors are f32 too.
using scaled16 = f32x16;
using factors16 = f32x16;

QUIPU_INLINE factors16 factorsOf(const pairs16& factors, int which) {
  return {_mm512_cvtepi32_ps(oneOf(factors, which))};
}

QUIPU_INLINE scaled16 noScaled() { return zero(); }

QUIPU_INLINE scaled16 addScaled(scaled16 total, const partial16& sums, factors16 factors) {
  return fma(totals(sums), factors, total);
}

QUIPU_INLINE f32x16 totals(scaled16 a, scaled16 b) { return add(a, b); }

QUIPU_INLINE dots16 addPairs(dots16 total, const pairs16& factors, const int16_t* two) {
  return dots16(_mm512_dpwssd_epi32(total.lanes(), factors.v, fourOf(two)));
}

// Weights of four and six bits with AVX-512 BW. The functions are described in simd/scalar_nibbles.h; what VNNI has
// instructions for is in avx512_dots.h and avx512_vnni_dots.h.

struct ucodes16 {
  __m512i v;
};

struct pairs16 {
  __m512i v;
};

// Four bytes in every lane.
QUIPU_INLINE __m512i fourOf(const void* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm512_set1_epi32(four);
}

QUIPU_INLINE ucodes16 loadUnsigned(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
QUIPU_INLINE void store(uint8_t* p, const ucodes16& w) { _mm512_storeu_si512(p, w.v); }

QUIPU_INLINE ucodes16 lowNibbles(const uint8_t* p) {
  return {_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(15))};
}

QUIPU_INLINE ucodes16 highNibbles(const uint8_t* p) {
  return {_mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(p), 4), _mm512_set1_epi8(15))};
}

QUIPU_INLINE ucodes16 sixBits(ucodes16 low, const uint8_t* p, int field) {
  const __m512i high = _mm512_loadu_si512(p);
  const __m512i moved =
      field < 2 ? _mm512_slli_epi16(high, uint32_t(4 - 2 * field)) : _mm512_srli_epi16(high, uint32_t(2 * field - 4));
  return {_mm512_or_si512(low.v, _mm512_and_si512(moved, _mm512_set1_epi8(0x30)))};
}

// The numbers of six bits whose lower four are `lower` bits up in their byte, and whose upper two are `upper` bits
// short of their place.
QUIPU_INLINE __m512i packedSixes(const uint8_t* side, int lower, int upper) {
  const __m512i low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)side));
  const __m512i high = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)(side + 32)));
  // The second of a pair goes to bits 16 …: from bit 8 in `low`, from bit 4 in `high`.
  const __m512i lows = _mm512_srli_epi32(_mm512_or_si512(low, _mm512_slli_epi32(low, 8)), uint32_t(lower));
  const __m512i highs = _mm512_slli_epi32(_mm512_or_si512(high, _mm512_slli_epi32(high, 12)), uint32_t(upper));
  return _mm512_or_si512(_mm512_and_si512(lows, _mm512_set1_epi32(0x000f000f)),
                         _mm512_and_si512(highs, _mm512_set1_epi32(0x00300030)));
}

QUIPU_INLINE pairs16 scalesOf(const uint8_t* side) { return {packedSixes(side, 0, 4)}; }
QUIPU_INLINE pairs16 minimumsOf(const uint8_t* side) { return {packedSixes(side, 4, 2)}; }

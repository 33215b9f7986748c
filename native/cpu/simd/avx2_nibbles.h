// Weights of four and six bits with AVX2. The functions are described in simd/scalar_nibbles.h; what VNNI has
// instructions for is in avx2_dots.h and avx_vnni_dots.h.

struct ucodes16 {
  __m256i half[2];
};

struct pairs16 {
  __m256i half[2];
};

// Four bytes in every lane.
QUIPU_INLINE __m256i fourOf(const void* p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return _mm256_set1_epi32(four);
}

QUIPU_INLINE ucodes16 loadUnsigned(const uint8_t* p) {
  return {{_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)(p + 32))}};
}

QUIPU_INLINE void store(uint8_t* p, const ucodes16& w) {
  for (int h = 0; h < 2; ++h) _mm256_storeu_si256((__m256i*)(p + 32 * h), w.half[h]);
}

QUIPU_INLINE ucodes16 lowNibbles(const uint8_t* p) {
  ucodes16 w = loadUnsigned(p);
  for (__m256i& half : w.half) half = _mm256_and_si256(half, _mm256_set1_epi8(15));
  return w;
}

QUIPU_INLINE ucodes16 highNibbles(const uint8_t* p) {
  ucodes16 w = loadUnsigned(p);
  for (__m256i& half : w.half) half = _mm256_and_si256(_mm256_srli_epi16(half, 4), _mm256_set1_epi8(15));
  return w;
}

QUIPU_INLINE ucodes16 sixBits(ucodes16 low, const uint8_t* p, int field) {
  const ucodes16 high = loadUnsigned(p);
  for (int h = 0; h < 2; ++h) {
    const __m256i moved =
        field < 2 ? _mm256_slli_epi16(high.half[h], 4 - 2 * field) : _mm256_srli_epi16(high.half[h], 2 * field - 4);
    low.half[h] = _mm256_or_si256(low.half[h], _mm256_and_si256(moved, _mm256_set1_epi8(0x30)));
  }
  return low;
}

// Of eight rows: the numbers of six bits whose lower four are `lower` bits up in their byte, and whose upper two are
// `upper` bits short of their place.
QUIPU_INLINE __m256i packedSixes(const uint8_t* side, int h, int lower, int upper) {
  const __m256i low = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)(side + 16 * h)));
  const __m256i high = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)(side + 32 + 8 * h)));
  // The second of a pair goes to bits 16 …: from bit 8 in `low`, from bit 4 in `high`.
  const __m256i lows = _mm256_srli_epi32(_mm256_or_si256(low, _mm256_slli_epi32(low, 8)), lower);
  const __m256i highs = _mm256_slli_epi32(_mm256_or_si256(high, _mm256_slli_epi32(high, 12)), upper);
  return _mm256_or_si256(_mm256_and_si256(lows, _mm256_set1_epi32(0x000f000f)),
                         _mm256_and_si256(highs, _mm256_set1_epi32(0x00300030)));
}

QUIPU_INLINE pairs16 scalesOf(const uint8_t* side) {
  return {{packedSixes(side, 0, 0, 4), packedSixes(side, 1, 0, 4)}};
}
QUIPU_INLINE pairs16 minimumsOf(const uint8_t* side) {
  return {{packedSixes(side, 0, 4, 2), packedSixes(side, 1, 4, 2)}};
}

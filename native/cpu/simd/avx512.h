// f32x16 as one 512-bit register (AVX-512 F, BW, VL, DQ). The functions are described in simd/scalar.h.

static constexpr int kWideRegisters = 32;

struct f32x16 {
  __m512 v;
};

using m16 = __mmask16;

QUIPU_INLINE f32x16 zero() { return {_mm512_setzero_ps()}; }
QUIPU_INLINE f32x16 broadcast(float x) { return {_mm512_set1_ps(x)}; }

QUIPU_INLINE m16 firstLanes(size_t n) { return m16((1u << n) - 1); }

QUIPU_INLINE f32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
QUIPU_INLINE void store(float* p, f32x16 v) { _mm512_storeu_ps(p, v.v); }
QUIPU_INLINE f32x16 loadPart(const float* p, size_t n) { return {_mm512_maskz_loadu_ps(firstLanes(n), p)}; }
QUIPU_INLINE void storePart(float* p, f32x16 v, size_t n) { _mm512_mask_storeu_ps(p, firstLanes(n), v.v); }

QUIPU_INLINE f32x16 bf16Lanes(__m256i stored) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16))};
}

QUIPU_INLINE f32x16 widenBf16(const uint16_t* p) { return bf16Lanes(_mm256_loadu_si256((const __m256i*)p)); }
QUIPU_INLINE f32x16 widenBf16Part(const uint16_t* p, size_t n) {
  return bf16Lanes(_mm256_maskz_loadu_epi16(firstLanes(n), p));
}

QUIPU_INLINE f32x16 widenF16(const uint16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p))}; }
QUIPU_INLINE f32x16 widenF16Part(const uint16_t* p, size_t n) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(firstLanes(n), p))};
}

QUIPU_INLINE f32x16 i8Lanes(__m128i stored) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(stored))}; }

QUIPU_INLINE f32x16 widenI8(const int8_t* p) { return i8Lanes(_mm_loadu_si128((const __m128i*)p)); }
QUIPU_INLINE f32x16 widenI8Part(const int8_t* p, size_t n) { return i8Lanes(_mm_maskz_loadu_epi8(firstLanes(n), p)); }

QUIPU_INLINE __m256i f16Lanes(f32x16 v) { return _mm512_cvtps_ph(v.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

QUIPU_INLINE void narrowF16(uint16_t* p, f32x16 v) { _mm256_storeu_si256((__m256i*)p, f16Lanes(v)); }
QUIPU_INLINE void narrowF16Part(uint16_t* p, f32x16 v, size_t n) {
  _mm256_mask_storeu_epi16(p, firstLanes(n), f16Lanes(v));
}

QUIPU_INLINE void narrowI8(int8_t* p, f32x16 v) {
  _mm_storeu_si128((__m128i*)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v.v)));
}
QUIPU_INLINE void narrowI8Part(int8_t* p, f32x16 v, size_t n) {
  _mm_mask_storeu_epi8(p, firstLanes(n), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v.v)));
}

QUIPU_INLINE f32x16 fma(f32x16 a, f32x16 b, f32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
QUIPU_INLINE f32x16 add(f32x16 a, f32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
QUIPU_INLINE f32x16 sub(f32x16 a, f32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
QUIPU_INLINE f32x16 mul(f32x16 a, f32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
QUIPU_INLINE f32x16 div(f32x16 a, f32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
QUIPU_INLINE f32x16 sqrt(f32x16 v) { return {_mm512_sqrt_ps(v.v)}; }
QUIPU_INLINE f32x16 max(f32x16 a, f32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
QUIPU_INLINE f32x16 min(f32x16 a, f32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
QUIPU_INLINE f32x16 negate(f32x16 v) { return {_mm512_xor_ps(v.v, _mm512_set1_ps(-0.0f))}; }
QUIPU_INLINE f32x16 abs(f32x16 v) { return {_mm512_abs_ps(v.v)}; }
QUIPU_INLINE f32x16 rint(f32x16 v) { return {_mm512_roundscale_ps(v.v, _MM_FROUND_CUR_DIRECTION)}; }

// The last three halvings, on s8 = lane[i] + lane[i + 8].
QUIPU_INLINE float sumOfEight(__m256 s8) {
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

QUIPU_INLINE float sum(f32x16 v) {
  return sumOfEight(_mm256_add_ps(_mm512_castps512_ps256(v.v), _mm512_extractf32x8_ps(v.v, 1)));
}

// Each step halves two vectors in one register.
QUIPU_INLINE f32x16 sums(const f32x16 (&v)[16]) {
  constexpr int kOrder[16] = {0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15};  // in which the steps leave them
  __m512 s8[8], s4[4], s2[2];
  for (int i = 0; i < 8; ++i) {
    const __m512 a = v[kOrder[i]].v, b = v[kOrder[i + 8]].v;
    s8[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  for (int i = 0; i < 4; ++i) {
    s4[i] = _mm512_add_ps(_mm512_shuffle_f32x4(s8[i], s8[i + 4], 0x88), _mm512_shuffle_f32x4(s8[i], s8[i + 4], 0xdd));
  }
  for (int i = 0; i < 2; ++i) {
    s2[i] = _mm512_add_ps(_mm512_shuffle_ps(s4[i], s4[i + 2], 0x44), _mm512_shuffle_ps(s4[i], s4[i + 2], 0xee));
  }
  return {_mm512_add_ps(_mm512_shuffle_ps(s2[0], s2[1], 0x88), _mm512_shuffle_ps(s2[0], s2[1], 0xdd))};
}

QUIPU_INLINE float maximum(f32x16 v) { return _mm512_reduce_max_ps(v.v); }

QUIPU_INLINE m16 less(f32x16 a, f32x16 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
QUIPU_INLINE m16 lessEqual(f32x16 a, f32x16 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ); }
QUIPU_INLINE m16 equal(f32x16 a, f32x16 b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ); }
QUIPU_INLINE m16 isNan(f32x16 v) { return _mm512_cmp_ps_mask(v.v, v.v, _CMP_UNORD_Q); }
QUIPU_INLINE f32x16 select(m16 m, f32x16 a, f32x16 b) { return {_mm512_mask_blend_ps(m, b.v, a.v)}; }
QUIPU_INLINE m16 both(m16 m, m16 n) { return m16(m & n); }
QUIPU_INLINE m16 either(m16 m, m16 n) { return m16(m | n); }
QUIPU_INLINE uint32_t bits(m16 m) { return m; }
QUIPU_INLINE bool any(m16 m) { return m != 0; }

QUIPU_INLINE f32x16 scaleByPowerOfTwo(f32x16 v, f32x16 n) { return {_mm512_scalef_ps(v.v, n.v)}; }

// Lanes of `seconds` are the second of their pair.
QUIPU_INLINE __m512 butterfly(__m512 v, __m512 other, m16 seconds) {
  return _mm512_mask_blend_ps(seconds, _mm512_add_ps(v, other), _mm512_sub_ps(other, v));
}

template <int kApart>
QUIPU_INLINE f32x16 swapped(f32x16 v) {
  if constexpr (kApart == 1) return {_mm512_shuffle_ps(v.v, v.v, 0xb1)};
  if constexpr (kApart == 2) return {_mm512_shuffle_ps(v.v, v.v, 0x4e)};
  if constexpr (kApart == 4) return {_mm512_shuffle_f32x4(v.v, v.v, 0xb1)};
  if constexpr (kApart == 8) return {_mm512_shuffle_f32x4(v.v, v.v, 0x4e)};
}

QUIPU_INLINE f32x16 hadamard(f32x16 v) {
  v.v = butterfly(v.v, swapped<1>(v).v, 0xaaaa);
  v.v = butterfly(v.v, swapped<2>(v).v, 0xcccc);
  v.v = butterfly(v.v, swapped<4>(v).v, 0xf0f0);
  return {butterfly(v.v, swapped<8>(v).v, 0xff00)};
}

QUIPU_INLINE void transpose(f32x16 (&rows)[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
  __m512 u[16];  // u[4g + c], quarter q: rows 4g … 4g + 3 of column 4q + c
  for (int g = 0; g < 16; g += 4) {
    u[g] = _mm512_shuffle_ps(t[g], t[g + 2], 0x44);
    u[g + 1] = _mm512_shuffle_ps(t[g], t[g + 2], 0xee);
    u[g + 2] = _mm512_shuffle_ps(t[g + 1], t[g + 3], 0x44);
    u[g + 3] = _mm512_shuffle_ps(t[g + 1], t[g + 3], 0xee);
  }
  for (int c = 0; c < 4; ++c) {
    const __m512 low01 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0x44),
                 high01 = _mm512_shuffle_f32x4(u[c], u[4 + c], 0xee);
    const __m512 low23 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0x44);
    const __m512 high23 = _mm512_shuffle_f32x4(u[8 + c], u[12 + c], 0xee);
    rows[c].v = _mm512_shuffle_f32x4(low01, low23, 0x88);
    rows[4 + c].v = _mm512_shuffle_f32x4(low01, low23, 0xdd);
    rows[8 + c].v = _mm512_shuffle_f32x4(high01, high23, 0x88);
    rows[12 + c].v = _mm512_shuffle_f32x4(high01, high23, 0xdd);
  }
}

struct u64x16 {
  __m512i low, high;
};

QUIPU_INLINE u64x16 noWholes() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }

QUIPU_INLINE u64x16 wholes(f32x16 v) {
  return {_mm512_cvtps_epi64(_mm512_castps512_ps256(v.v)), _mm512_cvtps_epi64(_mm512_extractf32x8_ps(v.v, 1))};
}

QUIPU_INLINE u64x16 add(u64x16 a, u64x16 b) {
  return {_mm512_add_epi64(a.low, b.low), _mm512_add_epi64(a.high, b.high)};
}

QUIPU_INLINE void store(uint64_t* p, u64x16 a) {
  _mm512_storeu_si512(p, a.low);
  _mm512_storeu_si512(p + 8, a.high);
}

QUIPU_INLINE uint64_t sum(u64x16 a) {
  uint64_t lane[8];
  _mm512_storeu_si512(lane, _mm512_add_epi64(a.low, a.high));
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

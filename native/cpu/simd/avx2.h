// f32x16 as two 256-bit registers (AVX2, FMA, F16C). The functions are described in simd/scalar.h.

static constexpr int kWideRegisters = 8;

struct f32x16 {
  __m256 low, high;  // lanes 0 … 7 and 8 … 15
};

struct m16 {
  __m256 low, high;  // all bits of a lane set, or none
};

QUIPU_INLINE f32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
QUIPU_INLINE f32x16 broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }

QUIPU_INLINE m16 firstLanes(size_t n) {
  const __m256i bound = _mm256_set1_epi32(int(n));
  const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(bound, low)), _mm256_castsi256_ps(_mm256_cmpgt_epi32(bound, high))};
}

QUIPU_INLINE f32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }

QUIPU_INLINE void store(float* p, f32x16 v) {
  _mm256_storeu_ps(p, v.low);
  _mm256_storeu_ps(p + 8, v.high);
}

QUIPU_INLINE f32x16 loadPart(const float* p, size_t n) {
  const m16 m = firstLanes(n);
  return {_mm256_maskload_ps(p, _mm256_castps_si256(m.low)), _mm256_maskload_ps(p + 8, _mm256_castps_si256(m.high))};
}

QUIPU_INLINE void storePart(float* p, f32x16 v, size_t n) {
  const m16 m = firstLanes(n);
  _mm256_maskstore_ps(p, _mm256_castps_si256(m.low), v.low);
  _mm256_maskstore_ps(p + 8, _mm256_castps_si256(m.high), v.high);
}

// The first n of sixteen 16-bit values, the others 0.
struct u16x16 {
  uint16_t lane[16];
};

QUIPU_INLINE u16x16 load16Part(const uint16_t* p, size_t n) {
  u16x16 r = {};
  for (size_t l = 0; l < n; ++l) r.lane[l] = p[l];
  return r;
}

QUIPU_INLINE __m256 bf16Lanes(__m128i stored) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(stored), 16));
}

QUIPU_INLINE f32x16 widenBf16(const uint16_t* p) {
  return {bf16Lanes(_mm_loadu_si128((const __m128i*)p)), bf16Lanes(_mm_loadu_si128((const __m128i*)(p + 8)))};
}

QUIPU_INLINE f32x16 widenBf16Part(const uint16_t* p, size_t n) {
  const u16x16 part = load16Part(p, n);
  return widenBf16(part.lane);
}

QUIPU_INLINE f32x16 widenF16(const uint16_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)),
          _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(p + 8)))};
}

QUIPU_INLINE f32x16 widenF16Part(const uint16_t* p, size_t n) {
  const u16x16 part = load16Part(p, n);
  return widenF16(part.lane);
}

QUIPU_INLINE __m256 i8Lanes(const int8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)));
}

QUIPU_INLINE f32x16 widenI8(const int8_t* p) { return {i8Lanes(p), i8Lanes(p + 8)}; }

QUIPU_INLINE f32x16 widenI8Part(const int8_t* p, size_t n) {
  int8_t part[16] = {};
  for (size_t l = 0; l < n; ++l) part[l] = p[l];
  return widenI8(part);
}

QUIPU_INLINE void narrowF16(uint16_t* p, f32x16 v) {
  _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(v.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  _mm_storeu_si128((__m128i*)(p + 8), _mm256_cvtps_ph(v.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

QUIPU_INLINE void narrowF16Part(uint16_t* p, f32x16 v, size_t n) {
  uint16_t part[16];
  narrowF16(part, v);
  for (size_t l = 0; l < n; ++l) p[l] = part[l];
}

QUIPU_INLINE void narrowI8(int8_t* p, f32x16 v) {
  const __m256i low = _mm256_cvtps_epi32(v.low), high = _mm256_cvtps_epi32(v.high);
  const __m128i low16 = _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  const __m128i high16 = _mm_packs_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
  _mm_storeu_si128((__m128i*)p, _mm_packs_epi16(low16, high16));
}

QUIPU_INLINE void narrowI8Part(int8_t* p, f32x16 v, size_t n) {
  int8_t part[16];
  narrowI8(part, v);
  for (size_t l = 0; l < n; ++l) p[l] = part[l];
}

QUIPU_INLINE f32x16 fma(f32x16 a, f32x16 b, f32x16 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
QUIPU_INLINE f32x16 add(f32x16 a, f32x16 b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
QUIPU_INLINE f32x16 sub(f32x16 a, f32x16 b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
QUIPU_INLINE f32x16 mul(f32x16 a, f32x16 b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
QUIPU_INLINE f32x16 div(f32x16 a, f32x16 b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
QUIPU_INLINE f32x16 sqrt(f32x16 v) { return {_mm256_sqrt_ps(v.low), _mm256_sqrt_ps(v.high)}; }
QUIPU_INLINE f32x16 max(f32x16 a, f32x16 b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
QUIPU_INLINE f32x16 min(f32x16 a, f32x16 b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }

QUIPU_INLINE f32x16 negate(f32x16 v) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_xor_ps(v.low, sign), _mm256_xor_ps(v.high, sign)};
}

QUIPU_INLINE f32x16 abs(f32x16 v) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, v.low), _mm256_andnot_ps(sign, v.high)};
}

QUIPU_INLINE f32x16 rint(f32x16 v) {
  return {_mm256_round_ps(v.low, _MM_FROUND_CUR_DIRECTION), _mm256_round_ps(v.high, _MM_FROUND_CUR_DIRECTION)};
}

QUIPU_INLINE float sum(f32x16 v) {
  const __m256 s8 = _mm256_add_ps(v.low, v.high);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

// Of eight vectors whose first halving is done: each step halves two of them in one register.
QUIPU_INLINE __m256 sumsOfEight(const __m256 (&v)[8]) {
  __m256 s4[4], s2[2];
  for (int i = 0; i < 4; ++i) {
    s4[i] = _mm256_add_ps(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20), _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
  }
  for (int i = 0; i < 2; ++i) {
    const __m256 even = s4[i], odd = s4[i + 2];
    s2[i] = _mm256_add_ps(_mm256_shuffle_ps(even, odd, 0x44), _mm256_shuffle_ps(even, odd, 0xee));
  }
  return _mm256_add_ps(_mm256_shuffle_ps(s2[0], s2[1], 0x88), _mm256_shuffle_ps(s2[0], s2[1], 0xdd));
}

QUIPU_INLINE f32x16 sums(const f32x16 (&v)[16]) {
  constexpr int kOrder[8] = {0, 2, 1, 3, 4, 6, 5, 7};  // in which the steps leave them
  __m256 low[8], high[8];
  for (int i = 0; i < 8; ++i) {
    low[i] = _mm256_add_ps(v[kOrder[i]].low, v[kOrder[i]].high);
    high[i] = _mm256_add_ps(v[8 + kOrder[i]].low, v[8 + kOrder[i]].high);
  }
  return {sumsOfEight(low), sumsOfEight(high)};
}

QUIPU_INLINE float maximum(f32x16 v) {
  const __m256 m8 = _mm256_max_ps(v.low, v.high);
  const __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
  const __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
  return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}

QUIPU_INLINE m16 less(f32x16 a, f32x16 b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)};
}
QUIPU_INLINE m16 lessEqual(f32x16 a, f32x16 b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_LE_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_LE_OQ)};
}
QUIPU_INLINE m16 equal(f32x16 a, f32x16 b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_EQ_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_EQ_OQ)};
}
QUIPU_INLINE m16 isNan(f32x16 v) {
  return {_mm256_cmp_ps(v.low, v.low, _CMP_UNORD_Q), _mm256_cmp_ps(v.high, v.high, _CMP_UNORD_Q)};
}
QUIPU_INLINE f32x16 select(m16 m, f32x16 a, f32x16 b) {
  return {_mm256_blendv_ps(b.low, a.low, m.low), _mm256_blendv_ps(b.high, a.high, m.high)};
}
QUIPU_INLINE m16 both(m16 m, m16 n) { return {_mm256_and_ps(m.low, n.low), _mm256_and_ps(m.high, n.high)}; }
QUIPU_INLINE m16 either(m16 m, m16 n) { return {_mm256_or_ps(m.low, n.low), _mm256_or_ps(m.high, n.high)}; }
QUIPU_INLINE uint32_t bits(m16 m) { return uint32_t(_mm256_movemask_ps(m.low) | _mm256_movemask_ps(m.high) << 8); }
QUIPU_INLINE bool any(m16 m) { return bits(m) != 0; }

QUIPU_INLINE __m256 scaleEight(__m256 v, __m256 n) {
  const __m256i power = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(power, 1), bias = _mm256_set1_epi32(127);
  const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(power, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(v, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}

QUIPU_INLINE f32x16 scaleByPowerOfTwo(f32x16 v, f32x16 n) {
  return {scaleEight(v.low, n.low), scaleEight(v.high, n.high)};
}

template <int kApart>
QUIPU_INLINE __m256 swappedOfEight(__m256 v) {
  if constexpr (kApart == 1) return _mm256_permute_ps(v, 0xb1);
  if constexpr (kApart == 2) return _mm256_permute_ps(v, 0x4e);
  if constexpr (kApart == 4) return _mm256_permute2f128_ps(v, v, 0x01);
}

template <int kApart>
QUIPU_INLINE f32x16 swapped(f32x16 v) {
  if constexpr (kApart == 8) {
    return {v.high, v.low};
  } else {
    return {swappedOfEight<kApart>(v.low), swappedOfEight<kApart>(v.high)};
  }
}

// The butterflies of lanes 1, 2 and 4 apart.
QUIPU_INLINE __m256 hadamardOfEight(__m256 v) {
  __m256 other = swappedOfEight<1>(v);
  v = _mm256_blend_ps(_mm256_add_ps(v, other), _mm256_sub_ps(other, v), 0xaa);
  other = swappedOfEight<2>(v);
  v = _mm256_blend_ps(_mm256_add_ps(v, other), _mm256_sub_ps(other, v), 0xcc);
  other = swappedOfEight<4>(v);
  return _mm256_blend_ps(_mm256_add_ps(v, other), _mm256_sub_ps(other, v), 0xf0);
}

QUIPU_INLINE f32x16 hadamard(f32x16 v) {
  const __m256 low = hadamardOfEight(v.low), high = hadamardOfEight(v.high);
  return {_mm256_add_ps(low, high), _mm256_sub_ps(low, high)};
}

// 8 × 8, in place.
QUIPU_INLINE void transposeEight(__m256 (&rows)[8]) {
  __m256 t[8], u[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  for (int g = 0; g < 8; g += 4) {
    u[g] = _mm256_shuffle_ps(t[g], t[g + 2], 0x44);
    u[g + 1] = _mm256_shuffle_ps(t[g], t[g + 2], 0xee);
    u[g + 2] = _mm256_shuffle_ps(t[g + 1], t[g + 3], 0x44);
    u[g + 3] = _mm256_shuffle_ps(t[g + 1], t[g + 3], 0xee);
  }
  for (int c = 0; c < 4; ++c) {
    rows[c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x20);
    rows[4 + c] = _mm256_permute2f128_ps(u[c], u[4 + c], 0x31);
  }
}

QUIPU_INLINE void transpose(f32x16 (&rows)[16]) {
  __m256 topLeft[8], topRight[8], bottomLeft[8], bottomRight[8];
  for (int i = 0; i < 8; ++i) {
    topLeft[i] = rows[i].low;
    topRight[i] = rows[i].high;
    bottomLeft[i] = rows[8 + i].low;
    bottomRight[i] = rows[8 + i].high;
  }
  transposeEight(topLeft);
  transposeEight(topRight);
  transposeEight(bottomLeft);
  transposeEight(bottomRight);
  for (int i = 0; i < 8; ++i) {
    rows[i] = {topLeft[i], bottomLeft[i]};
    rows[8 + i] = {topRight[i], bottomRight[i]};
  }
}

struct u64x16 {
  __m256i quarter[4];
};

QUIPU_INLINE u64x16 noWholes() {
  return {{_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()}};
}

// In f64 the sum with 2⁵² is rounded to a whole number, which then is the low bits of its pattern.
QUIPU_INLINE __m256i wholesOfFour(__m128 v) {
  const __m256d magic = _mm256_set1_pd(0x1p52);
  return _mm256_xor_si256(_mm256_castpd_si256(_mm256_add_pd(_mm256_cvtps_pd(v), magic)), _mm256_castpd_si256(magic));
}

QUIPU_INLINE u64x16 wholes(f32x16 v) {
  return {{wholesOfFour(_mm256_castps256_ps128(v.low)), wholesOfFour(_mm256_extractf128_ps(v.low, 1)),
           wholesOfFour(_mm256_castps256_ps128(v.high)), wholesOfFour(_mm256_extractf128_ps(v.high, 1))}};
}

QUIPU_INLINE u64x16 add(u64x16 a, u64x16 b) {
  for (int i = 0; i < 4; ++i) a.quarter[i] = _mm256_add_epi64(a.quarter[i], b.quarter[i]);
  return a;
}

QUIPU_INLINE void store(uint64_t* p, u64x16 a) {
  for (int i = 0; i < 4; ++i) _mm256_storeu_si256((__m256i*)(p + 4 * i), a.quarter[i]);
}

QUIPU_INLINE uint64_t sum(u64x16 a) {
  uint64_t lane[4];
  const __m256i halves = _mm256_add_epi64(a.quarter[0], a.quarter[1]),
                rest = _mm256_add_epi64(a.quarter[2], a.quarter[3]);
  _mm256_storeu_si256((__m256i*)lane, _mm256_add_epi64(halves, rest));
  return lane[0] + lane[1] + lane[2] + lane[3];
}

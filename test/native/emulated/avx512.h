// The AVX-512 intrinsics that the kernels use, and the dot products of VNNI in 512 and in 256 bits, for a CPU that has
// AVX2, FMA and F16C only. The meaning of each is that of Intel's Intrinsics Guide (fp exceptions aside);
// intrinsics_test.cc holds it to the guide's pseudo-code.
//
// Included inside a target's own namespace, where these names hide the compiler's: simd/avx512.h is compiled as it is.
// What it uses and is not here does not compile, as the file is built without AVX-512. Registers are two of 256 bits.
#undef _mm256_dpbusd_epi32  // macros of some compilers: these, and what takes an immediate
#undef _mm512_cmp_ps_mask
#undef _mm512_cvtps_ph
#undef _mm512_extractf32x8_ps
#undef _mm512_roundscale_ps
#undef _mm512_shuffle_f32x4
#undef _mm512_shuffle_ps
#undef _mm512_slli_epi16
#undef _mm512_slli_epi32
#undef _mm512_srai_epi32
#undef _mm512_srli_epi16
#undef _mm512_srli_epi32

struct __m512 {
  __m256 low, high;
};

struct __m512i {
  __m256i low, high;
};

// The same for both halves, and lane by lane what AVX2 has no instruction for.
#define QUIPU_HALVES(type, name, operation) \
  QUIPU_INLINE type name(type a, type b) { return {operation(a.low, b.low), operation(a.high, b.high)}; }

template <typename Lane, size_t kCount>
struct Lanes {
  Lane lane[kCount];
};

template <typename To, typename From>
QUIPU_INLINE To sameBits(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof to);
  return to;
}

// Mask bits as lanes of all ones or none.
QUIPU_INLINE __m256i eightLanes(uint32_t mask) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(int(mask)), bit), bit);
}

QUIPU_INLINE uint32_t eightBits(__m256 lanes) { return uint32_t(_mm256_movemask_ps(lanes)); }

// ---- loads and stores: memory of masked-off lanes is neither read nor written ----

QUIPU_INLINE __m512 _mm512_loadu_ps(const void* p) {
  return {_mm256_loadu_ps((const float*)p), _mm256_loadu_ps((const float*)p + 8)};
}

QUIPU_INLINE void _mm512_storeu_ps(void* p, __m512 a) {
  _mm256_storeu_ps((float*)p, a.low);
  _mm256_storeu_ps((float*)p + 8, a.high);
}

QUIPU_INLINE __m512i _mm512_loadu_si512(const void* p) {
  return {_mm256_loadu_si256((const __m256i*)p), _mm256_loadu_si256((const __m256i*)p + 1)};
}

QUIPU_INLINE __m512 _mm512_maskz_loadu_ps(__mmask16 k, const void* p) {
  return {_mm256_maskload_ps((const float*)p, eightLanes(k)),
          _mm256_maskload_ps((const float*)p + 8, eightLanes(k >> 8))};
}

QUIPU_INLINE void _mm512_mask_storeu_ps(void* p, __mmask16 k, __m512 a) {
  _mm256_maskstore_ps((float*)p, eightLanes(k), a.low);
  _mm256_maskstore_ps((float*)p + 8, eightLanes(k >> 8), a.high);
}

template <typename Register, typename Lane>
QUIPU_INLINE Register loadLanes(__mmask16 k, const void* p) {
  Lanes<Lane, 16> lanes = {};
  for (int i = 0; i < 16; ++i) {
    if (k >> i & 1) __builtin_memcpy(&lanes.lane[i], (const Lane*)p + i, sizeof(Lane));
  }
  return sameBits<Register>(lanes);
}

template <typename Lane, typename Register>
QUIPU_INLINE void storeLanes(void* p, __mmask16 k, Register a) {
  const auto lanes = sameBits<Lanes<Lane, 16>>(a);
  for (int i = 0; i < 16; ++i) {
    if (k >> i & 1) __builtin_memcpy((Lane*)p + i, &lanes.lane[i], sizeof(Lane));
  }
}

QUIPU_INLINE __m256i _mm256_maskz_loadu_epi16(__mmask16 k, const void* p) { return loadLanes<__m256i, uint16_t>(k, p); }
QUIPU_INLINE __m128i _mm_maskz_loadu_epi8(__mmask16 k, const void* p) { return loadLanes<__m128i, uint8_t>(k, p); }
QUIPU_INLINE void _mm256_mask_storeu_epi16(void* p, __mmask16 k, __m256i a) { storeLanes<uint16_t>(p, k, a); }
QUIPU_INLINE void _mm_mask_storeu_epi8(void* p, __mmask16 k, __m128i a) { storeLanes<uint8_t>(p, k, a); }

// ---- f32 ----

QUIPU_INLINE __m512 _mm512_setzero_ps() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
QUIPU_INLINE __m512 _mm512_set1_ps(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }

QUIPU_HALVES(__m512, _mm512_add_ps, _mm256_add_ps)
QUIPU_HALVES(__m512, _mm512_sub_ps, _mm256_sub_ps)
QUIPU_HALVES(__m512, _mm512_mul_ps, _mm256_mul_ps)
QUIPU_HALVES(__m512, _mm512_div_ps, _mm256_div_ps)
QUIPU_HALVES(__m512, _mm512_max_ps, _mm256_max_ps)
QUIPU_HALVES(__m512, _mm512_min_ps, _mm256_min_ps)
QUIPU_HALVES(__m512, _mm512_xor_ps, _mm256_xor_ps)
QUIPU_HALVES(__m512, _mm512_unpacklo_ps, _mm256_unpacklo_ps)
QUIPU_HALVES(__m512, _mm512_unpackhi_ps, _mm256_unpackhi_ps)

QUIPU_INLINE __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

QUIPU_INLINE __m512 _mm512_sqrt_ps(__m512 a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }

QUIPU_INLINE __m512 _mm512_abs_ps(__m512 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}

// To a multiple of 2^−imm[7:4], as imm[1:0] says or, with imm[2], as the CPU is set.
QUIPU_INLINE float roundedLane(float x, int imm) {
  const double scaled = double(x) * (1 << (imm >> 4 & 15));  // exact, as is the way back
  const int mode = imm & 4 ? 4 : imm & 3;
  const double whole = mode == 1   ? __builtin_floor(scaled)
                       : mode == 2 ? __builtin_ceil(scaled)
                       : mode == 3 ? __builtin_trunc(scaled)
                       : mode == 4 ? __builtin_rint(scaled)
                                   : __builtin_roundeven(scaled);
  return float(whole / (1 << (imm >> 4 & 15)));
}

QUIPU_INLINE __m512 _mm512_roundscale_ps(__m512 a, int imm) {
  auto lanes = sameBits<Lanes<float, 16>>(a);
  for (float& lane : lanes.lane) lane = roundedLane(lane, imm);
  return sameBits<__m512>(lanes);
}

// a · 2^⌊b⌋, rounded once.
QUIPU_INLINE float scaledLane(float a, float b) {
  const float infinity = __builtin_inff();
  const bool quiet = sameBits<uint32_t>(a) & 0x400000;
  if (a != a && quiet && __builtin_fabsf(b) == infinity) return b > 0 ? infinity : 0.0f;  // the one NaN that is lost
  if (b == infinity) return a * infinity;
  if (b == -infinity) return a * 0.0f;
  const double bounded = b != b ? b : b < -600 ? -600 : b > 600 ? 600 : b;
  return float(a * __builtin_exp2(__builtin_floor(bounded)));
}

QUIPU_INLINE __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
  auto lanes = sameBits<Lanes<float, 16>>(a);
  const auto powers = sameBits<Lanes<float, 16>>(b);
  for (int i = 0; i < 16; ++i) lanes.lane[i] = scaledLane(lanes.lane[i], powers.lane[i]);
  return sameBits<__m512>(lanes);
}

QUIPU_INLINE float _mm512_reduce_max_ps(__m512 a) {
  auto lanes = sameBits<Lanes<float, 16>>(a);
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i)
      lanes.lane[i] = lanes.lane[i] > lanes.lane[i + half] ? lanes.lane[i] : lanes.lane[i + half];
  }
  return lanes.lane[0];
}

// Which of {equal, less, greater, unordered} (bits 0 … 3) each of the predicates holds for; bit 4 of them is about
// exceptions.
inline constexpr uint8_t kHoldsFor[16] = {1, 2, 3, 8, 14, 13, 12, 7, 9, 10, 11, 0, 6, 5, 4, 15};

QUIPU_INLINE uint32_t compareEight(__m256 a, __m256 b, int predicate) {
  const uint32_t holds = kHoldsFor[predicate & 15];
  uint32_t mask = 0;
  if (holds & 1) mask |= eightBits(_mm256_cmp_ps(a, b, _CMP_EQ_OQ));
  if (holds & 2) mask |= eightBits(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
  if (holds & 4) mask |= eightBits(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
  if (holds & 8) mask |= eightBits(_mm256_cmp_ps(a, b, _CMP_UNORD_Q));
  return mask;
}

QUIPU_INLINE __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
  return __mmask16(compareEight(a.low, b.low, predicate) | compareEight(a.high, b.high, predicate) << 8);
}

QUIPU_INLINE __m512 _mm512_mask_blend_ps(__mmask16 k, __m512 a, __m512 b) {
  return {_mm256_blendv_ps(a.low, b.low, _mm256_castsi256_ps(eightLanes(k))),
          _mm256_blendv_ps(a.high, b.high, _mm256_castsi256_ps(eightLanes(k >> 8)))};
}

// ---- places ----

QUIPU_INLINE __m256 _mm512_castps512_ps256(__m512 a) { return a.low; }
QUIPU_INLINE __m256 _mm512_extractf32x8_ps(__m512 a, int imm) { return imm & 1 ? a.high : a.low; }
QUIPU_INLINE __m512 _mm512_castsi512_ps(__m512i a) { return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)}; }

QUIPU_INLINE __m512 _mm512_shuffle_ps(__m512 a, __m512 b, int imm) {
  const auto from = sameBits<Lanes<float, 16>>(a), with = sameBits<Lanes<float, 16>>(b);
  Lanes<float, 16> to;
  for (int quarter = 0; quarter < 16; quarter += 4) {
    to.lane[quarter] = from.lane[quarter + (imm & 3)];
    to.lane[quarter + 1] = from.lane[quarter + (imm >> 2 & 3)];
    to.lane[quarter + 2] = with.lane[quarter + (imm >> 4 & 3)];
    to.lane[quarter + 3] = with.lane[quarter + (imm >> 6 & 3)];
  }
  return sameBits<__m512>(to);
}

QUIPU_INLINE __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int imm) {
  using Quarters = Lanes<Lanes<float, 4>, 4>;
  const auto from = sameBits<Quarters>(a), with = sameBits<Quarters>(b);
  const Quarters to = {{from.lane[imm & 3], from.lane[imm >> 2 & 3], with.lane[imm >> 4 & 3], with.lane[imm >> 6 & 3]}};
  return sameBits<__m512>(to);
}

// ---- integers ----

QUIPU_INLINE void _mm512_storeu_si512(void* p, __m512i a) {
  _mm256_storeu_si256((__m256i*)p, a.low);
  _mm256_storeu_si256((__m256i*)p + 1, a.high);
}

QUIPU_INLINE __m512i _mm512_setzero_si512() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
QUIPU_INLINE __m512i _mm512_set1_epi32(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
QUIPU_INLINE __m512i _mm512_set1_epi8(char x) { return {_mm256_set1_epi8(x), _mm256_set1_epi8(x)}; }
QUIPU_INLINE __m512i _mm512_set1_epi16(int16_t x) { return {_mm256_set1_epi16(x), _mm256_set1_epi16(x)}; }
QUIPU_INLINE __m512i _mm512_abs_epi8(__m512i v) { return {_mm256_abs_epi8(v.low), _mm256_abs_epi8(v.high)}; }

QUIPU_INLINE __m512i _mm512_mask_sub_epi8(__m512i otherwise, __mmask64 k, __m512i a, __m512i b) {
  auto to = sameBits<Lanes<uint8_t, 64>>(otherwise);
  const auto left = sameBits<Lanes<uint8_t, 64>>(a), right = sameBits<Lanes<uint8_t, 64>>(b);
  for (int i = 0; i < 64; ++i) {
    if (k >> i & 1) to.lane[i] = uint8_t(left.lane[i] - right.lane[i]);
  }
  return sameBits<__m512i>(to);
}

QUIPU_INLINE __mmask64 _mm512_movepi8_mask(__m512i v) {
  return uint32_t(_mm256_movemask_epi8(v.low)) | uint64_t(uint32_t(_mm256_movemask_epi8(v.high))) << 32;
}

QUIPU_HALVES(__m512i, _mm512_and_si512, _mm256_and_si256)
QUIPU_HALVES(__m512i, _mm512_or_si512, _mm256_or_si256)
QUIPU_HALVES(__m512i, _mm512_xor_si512, _mm256_xor_si256)
QUIPU_HALVES(__m512i, _mm512_maddubs_epi16, _mm256_maddubs_epi16)
QUIPU_HALVES(__m512i, _mm512_madd_epi16, _mm256_madd_epi16)
QUIPU_HALVES(__m512i, _mm512_add_epi16, _mm256_add_epi16)
QUIPU_HALVES(__m512i, _mm512_add_epi32, _mm256_add_epi32)
QUIPU_HALVES(__m512i, _mm512_add_epi64, _mm256_add_epi64)
QUIPU_HALVES(__m512i, _mm512_sub_epi32, _mm256_sub_epi32)
QUIPU_HALVES(__m512i, _mm512_mullo_epi32, _mm256_mullo_epi32)

QUIPU_INLINE __m512i _mm512_mask_blend_epi16(__mmask32 k, __m512i a, __m512i b) {
  auto to = sameBits<Lanes<uint16_t, 32>>(a);
  const auto with = sameBits<Lanes<uint16_t, 32>>(b);
  for (int i = 0; i < 32; ++i) {
    if (k >> i & 1) to.lane[i] = with.lane[i];
  }
  return sameBits<__m512i>(to);
}

#define QUIPU_SHIFT(name, operation)                            \
  QUIPU_INLINE __m512i name(__m512i a, unsigned imm) {          \
    const __m128i count = _mm_cvtsi32_si128(int(imm & 255));    \
    return {operation(a.low, count), operation(a.high, count)}; \
  }
QUIPU_SHIFT(_mm512_slli_epi16, _mm256_sll_epi16)
QUIPU_SHIFT(_mm512_slli_epi32, _mm256_sll_epi32)
QUIPU_SHIFT(_mm512_srli_epi16, _mm256_srl_epi16)
QUIPU_SHIFT(_mm512_srli_epi32, _mm256_srl_epi32)
QUIPU_SHIFT(_mm512_srai_epi32, _mm256_sra_epi32)
#undef QUIPU_SHIFT

// ---- conversions ----

QUIPU_INLINE __m512i _mm512_cvtepu16_epi32(__m256i a) {
  return {_mm256_cvtepu16_epi32(_mm256_castsi256_si128(a)), _mm256_cvtepu16_epi32(_mm256_extracti128_si256(a, 1))};
}

QUIPU_INLINE __m512i _mm512_cvtepu8_epi32(__m128i a) {
  return {_mm256_cvtepu8_epi32(a), _mm256_cvtepu8_epi32(_mm_srli_si128(a, 8))};
}

QUIPU_INLINE __m512i _mm512_cvtepi8_epi32(__m128i a) {
  return {_mm256_cvtepi8_epi32(a), _mm256_cvtepi8_epi32(_mm_srli_si128(a, 8))};
}

QUIPU_INLINE __m128i _mm512_cvtsepi32_epi8(__m512i a) {
  const __m256i in16 = _mm256_permute4x64_epi64(_mm256_packs_epi32(a.low, a.high), 0xd8);
  return _mm_packs_epi16(_mm256_castsi256_si128(in16), _mm256_extracti128_si256(in16, 1));
}

QUIPU_INLINE __m512 _mm512_cvtepi32_ps(__m512i a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
QUIPU_INLINE __m512i _mm512_cvtps_epi32(__m512 a) { return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }

QUIPU_INLINE __m512i _mm512_cvtps_epi64(__m256 a) {
  const auto lanes = sameBits<Lanes<float, 8>>(a);
  Lanes<int64_t, 8> to;
  for (int i = 0; i < 8; ++i) to.lane[i] = _mm_cvtss_si64(_mm_set_ss(lanes.lane[i]));
  return sameBits<__m512i>(to);
}

QUIPU_INLINE __m512 _mm512_cvtph_ps(__m256i a) {
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(a)), _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1))};
}

template <int kRounding>
QUIPU_INLINE __m256i halvesOf(__m512 a) {
  return _mm256_set_m128i(_mm256_cvtps_ph(a.high, kRounding), _mm256_cvtps_ph(a.low, kRounding));
}

QUIPU_INLINE __m256i _mm512_cvtps_ph(__m512 a, int imm) {
  switch (imm & 7) {
    case 0:
      return halvesOf<0>(a);
    case 1:
      return halvesOf<1>(a);
    case 2:
      return halvesOf<2>(a);
    case 3:
      return halvesOf<3>(a);
    default:
      return halvesOf<4>(a);
  }
}

// ---- dot products (AVX512-VNNI, and AVX-VNNI with 256 bits): four unsigned by four signed bytes, added to each word
// ----

QUIPU_INLINE __m256i _mm256_dpbusd_avx_epi32(__m256i sums, __m256i a, __m256i b) {
  auto to = sameBits<Lanes<uint32_t, 8>>(sums);
  const auto unsigned8 = sameBits<Lanes<uint8_t, 32>>(a);
  const auto signed8 = sameBits<Lanes<int8_t, 32>>(b);
  for (int i = 0; i < 32; ++i) to.lane[i / 4] += uint32_t(unsigned8.lane[i] * signed8.lane[i]);
  return sameBits<__m256i>(to);
}

QUIPU_INLINE __m256i _mm256_dpbusd_epi32(__m256i sums, __m256i a, __m256i b) {
  return _mm256_dpbusd_avx_epi32(sums, a, b);
}

QUIPU_INLINE __m512i _mm512_dpbusd_epi32(__m512i sums, __m512i a, __m512i b) {
  return {_mm256_dpbusd_avx_epi32(sums.low, a.low, b.low), _mm256_dpbusd_avx_epi32(sums.high, a.high, b.high)};
}

// Two signed by two signed words, added to each double word.
QUIPU_INLINE __m256i _mm256_dpwssd_avx_epi32(__m256i sums, __m256i a, __m256i b) {
  return _mm256_add_epi32(sums, _mm256_madd_epi16(a, b));
}

QUIPU_INLINE __m512i _mm512_dpwssd_epi32(__m512i sums, __m512i a, __m512i b) {
  return _mm512_add_epi32(sums, _mm512_madd_epi16(a, b));
}
#undef QUIPU_HALVES

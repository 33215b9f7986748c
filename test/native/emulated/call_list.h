// A call of every instruction of emulated/avx512.h, by the names that are in scope where this is included: the emulated
// ones or the compiler's.

template <typename To>
QUIPU_INLINE To from(const Register& source) {
  To to;
  __builtin_memcpy(&to, source.byte, sizeof to);
  return to;
}

template <typename From>
QUIPU_INLINE void put(Register& out, From value) {
  __builtin_memcpy(out.byte, &value, sizeof value);
}

QUIPU_INLINE __m512 f32(const Register& r) { return from<__m512>(r); }
QUIPU_INLINE __m512i i32(const Register& r) { return from<__m512i>(r); }
QUIPU_INLINE __m256i half(const Register& r) { return from<__m256i>(r); }
QUIPU_INLINE __m128i quarter(const Register& r) { return from<__m128i>(r); }

static Call calls[2000];
static size_t callCount = 0;

template <typename Add, int... kImmediates>
static void withEach(Add add, std::integer_sequence<int, kImmediates...>) {
  (add.template operator()<kImmediates>(), ...);
}

#define QUIPU_EACH(name, count, memory, statement)                                                                     \
  withEach(                                                                                                            \
      []<int imm>() {                                                                                                  \
        calls[callCount++] = {#name, imm, memory, []([[maybe_unused]] const Input& in, Register& out) { statement; }}; \
      },                                                                                                               \
      std::make_integer_sequence<int, count>())
#define QUIPU_RESULT(name, result) QUIPU_EACH(name, 1, Memory::kNone, put(out, name result))
#define QUIPU_RESULTS(name, immediates, result) QUIPU_EACH(name, immediates, Memory::kNone, put(out, name result))
#define QUIPU_LOAD(name, result) QUIPU_EACH(name, 1, Memory::kRead, put(out, name result))
#define QUIPU_STORE(name, arguments) QUIPU_EACH(name, 1, Memory::kWritten, (void)out; name arguments)

static Calls collected() {
  if (callCount > 0) return {calls, callCount};
  QUIPU_LOAD(_mm512_loadu_ps, (in.memory));
  QUIPU_LOAD(_mm512_loadu_si512, (in.memory));
  QUIPU_LOAD(_mm512_maskz_loadu_ps, (in.mask, in.memory));
  QUIPU_LOAD(_mm256_maskz_loadu_epi16, (in.mask, in.memory));
  QUIPU_LOAD(_mm_maskz_loadu_epi8, (in.mask, in.memory));
  QUIPU_STORE(_mm512_storeu_ps, (in.memory, f32(in.a)));
  QUIPU_STORE(_mm512_storeu_si512, (in.memory, i32(in.a)));
  QUIPU_STORE(_mm512_mask_storeu_ps, (in.memory, in.mask, f32(in.a)));
  QUIPU_STORE(_mm256_mask_storeu_epi16, (in.memory, in.mask, half(in.a)));
  QUIPU_STORE(_mm_mask_storeu_epi8, (in.memory, in.mask, quarter(in.a)));

  QUIPU_RESULT(_mm512_setzero_ps, ());
  QUIPU_RESULT(_mm512_set1_ps, (from<float>(in.a)));
  QUIPU_RESULT(_mm512_add_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_sub_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_mul_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_div_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_max_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_min_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_xor_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_fmadd_ps, (f32(in.a), f32(in.b), f32(in.c)));
  QUIPU_RESULT(_mm512_sqrt_ps, (f32(in.a)));
  QUIPU_RESULT(_mm512_abs_ps, (f32(in.a)));
  QUIPU_RESULTS(_mm512_roundscale_ps, 256, (f32(in.a), imm));
  QUIPU_RESULT(_mm512_scalef_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_reduce_max_ps, (f32(in.a)));
  QUIPU_RESULTS(_mm512_cmp_ps_mask, 32, (f32(in.a), f32(in.b), imm));
  QUIPU_RESULT(_mm512_mask_blend_ps, (in.mask, f32(in.a), f32(in.b)));

  QUIPU_RESULT(_mm512_castps512_ps256, (f32(in.a)));
  QUIPU_RESULTS(_mm512_extractf32x8_ps, 2, (f32(in.a), imm));
  QUIPU_RESULT(_mm512_castsi512_ps, (i32(in.a)));
  QUIPU_RESULT(_mm512_unpacklo_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULT(_mm512_unpackhi_ps, (f32(in.a), f32(in.b)));
  QUIPU_RESULTS(_mm512_shuffle_ps, 256, (f32(in.a), f32(in.b), imm));
  QUIPU_RESULTS(_mm512_shuffle_f32x4, 256, (f32(in.a), f32(in.b), imm));

  QUIPU_RESULT(_mm512_setzero_si512, ());
  QUIPU_RESULT(_mm512_set1_epi32, (from<int>(in.a)));
  QUIPU_RESULT(_mm512_set1_epi16, (from<int16_t>(in.a)));
  QUIPU_RESULT(_mm512_abs_epi8, (i32(in.a)));
  QUIPU_RESULT(_mm512_mask_sub_epi8, (i32(in.c), from<__mmask64>(in.c), i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_movepi8_mask, (i32(in.a)));
  QUIPU_RESULT(_mm512_set1_epi8, (from<char>(in.a)));
  QUIPU_RESULT(_mm512_and_si512, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_or_si512, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_mullo_epi32, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_mask_blend_epi16, (from<uint32_t>(in.c), i32(in.a), i32(in.b)));
  QUIPU_RESULTS(_mm512_slli_epi16, 256, (i32(in.a), imm));
  QUIPU_RESULTS(_mm512_srli_epi16, 256, (i32(in.a), imm));
  QUIPU_RESULTS(_mm512_srli_epi32, 256, (i32(in.a), imm));
  QUIPU_RESULT(_mm512_cvtepu8_epi32, (quarter(in.a)));
  QUIPU_RESULT(_mm512_dpwssd_epi32, (i32(in.c), i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_xor_si512, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_maddubs_epi16, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_madd_epi16, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_add_epi16, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_add_epi32, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_add_epi64, (i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm512_sub_epi32, (i32(in.a), i32(in.b)));
  QUIPU_RESULTS(_mm512_slli_epi32, 40, (i32(in.a), imm));
  QUIPU_RESULTS(_mm512_srai_epi32, 40, (i32(in.a), imm));

  QUIPU_RESULT(_mm512_cvtepu16_epi32, (half(in.a)));
  QUIPU_RESULT(_mm512_cvtepi8_epi32, (quarter(in.a)));
  QUIPU_RESULT(_mm512_cvtsepi32_epi8, (i32(in.a)));
  QUIPU_RESULT(_mm512_cvtepi32_ps, (i32(in.a)));
  QUIPU_RESULT(_mm512_cvtps_epi32, (f32(in.a)));
  QUIPU_RESULT(_mm512_cvtps_epi64, (from<__m256>(in.a)));
  QUIPU_RESULT(_mm512_cvtph_ps, (half(in.a)));
  QUIPU_RESULTS(_mm512_cvtps_ph, 8, (f32(in.a), imm));

  QUIPU_RESULT(_mm512_dpbusd_epi32, (i32(in.c), i32(in.a), i32(in.b)));
  QUIPU_RESULT(_mm256_dpbusd_epi32, (half(in.c), half(in.a), half(in.b)));
  QUIPU_RESULT(_mm256_dpbusd_avx_epi32, (half(in.c), half(in.a), half(in.b)));
  QUIPU_RESULT(_mm256_dpwssd_avx_epi32, (half(in.c), half(in.a), half(in.b)));
  return {calls, callCount};
}

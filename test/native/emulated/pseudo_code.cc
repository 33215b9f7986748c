#include "emulated/pseudo_code.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace quipu::test {

namespace {

template <typename T>
T lane(const Register& r, size_t i) {
  T value;
  memcpy(&value, r.byte + i * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void set(Register& r, size_t i, T value) {
  memcpy(r.byte + i * sizeof(T), &value, sizeof(T));
}

// out[i] = of(a[i], b[i], c[i])
template <typename T, typename Of>
void eachLane(const Input& in, Register& out, Of of) {
  for (size_t i = 0; i < 64 / sizeof(T); ++i) set<T>(out, i, of(lane<T>(in.a, i), lane<T>(in.b, i), lane<T>(in.c, i)));
}

// From lanes of one type to sixteen of another.
template <typename From, typename To, typename Of>
void convert(const Input& in, Register& out, Of of) {
  for (size_t i = 0; i < 16; ++i) set<To>(out, i, of(lane<From>(in.a, i)));
}

template <typename T>
void load(const Input& in, Register& out, uint16_t mask) {
  for (size_t i = 0; i < 16; ++i) {
    T value = 0;
    if (mask >> i & 1) memcpy(&value, in.memory + i * sizeof(T), sizeof(T));
    set<T>(out, i, value);
  }
}

template <typename T>
void store(const Input& in, Register& memory, uint16_t mask) {
  for (size_t i = 0; i < 16; ++i) {
    if (mask >> i & 1) set<T>(memory, i, lane<T>(in.a, i));
  }
}

// a · b + c rounded once. The sum in 113 bits is rounded to odd, so that rounding it again to 24 is as if there were
// one rounding.
float fused(float a, float b, float c) {
  using Wide = __float128;
  const Wide product = Wide(a) * b, sum = product + c;
  if (!(std::isfinite(a) && std::isfinite(b) && std::isfinite(c)) || sum == 0) return float(sum);
  const Wide back = sum - product, lost = (product - (sum - back)) + (c - back);
  auto bits = std::bit_cast<unsigned __int128>(sum);
  if (lost != 0 && (bits & 1) == 0) bits += (lost > 0) == (sum > 0) ? 1 : -1;
  return float(std::bit_cast<Wide>(bits));
}

// a's bytes without a sign times b's with one, two products at a time, saturated.
int16_t pairOfBytes(const Input& in, size_t i) {
  int32_t sum = 0;
  for (size_t j = 2 * i; j < 2 * i + 2; ++j) sum += int32_t(lane<uint8_t>(in.a, j)) * lane<int8_t>(in.b, j);
  return int16_t(std::clamp(sum, -32768, 32767));
}

uint32_t pairOfWords(const Input& in, size_t i) {
  uint32_t sum = 0;
  for (size_t j = 2 * i; j < 2 * i + 2; ++j) sum += uint32_t(int32_t(lane<int16_t>(in.a, j)) * lane<int16_t>(in.b, j));
  return sum;
}

// By a rounding of four: to nearest even, down, up, to zero.
double roundedBy(double x, int rounding) {
  const double down = std::floor(x), rest = x - down;
  if (rest == 0 || std::isnan(rest)) return x;
  const double up = down == -1 ? -0.0 : down + 1;
  switch (rounding & 3) {
    case 0:
      return rest < 0.5 || (rest == 0.5 && std::fmod(down, 2) == 0) ? std::copysign(down, x) : up;
    case 1:
      return down;
    case 2:
      return up;
    default:
      return x > 0 ? down : up;
  }
}

// imm[2]: as the CPU is set, which is to nearest.
int roundingOf(int imm) { return imm & 4 ? 0 : imm & 3; }

float roundScale(float x, int imm) {
  if (std::isinf(x)) return x;
  const int bits = imm >> 4 & 15;
  return float(std::ldexp(roundedBy(std::ldexp(double(x), bits), roundingOf(imm)), -bits));
}

// To nearest; what has no place, and NaN, is the least integer.
template <typename Int>
Int toInt(float x) {
  const double whole = roundedBy(x, 0), limit = std::ldexp(1.0, 8 * sizeof(Int) - 1);
  return whole >= -limit && whole < limit ? Int(whole) : std::numeric_limits<Int>::min();
}

float halfToFloat(uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  const double size = exponent == 31  ? (fraction == 0 ? HUGE_VAL : NAN)
                      : exponent == 0 ? std::ldexp(fraction, -24)
                                      : std::ldexp(1024 + fraction, exponent - 25);
  return float(h & 0x8000 ? -size : size);
}

uint16_t floatToHalf(float x, int imm) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return sign | 0x7e00;
  if (std::isinf(x)) return sign | 0x7c00;
  if (x == 0) return sign;
  const int exponent = std::max(std::ilogb(x), -14);
  const double units =
      std::fabs(roundedBy(std::ldexp(double(x), 10 - exponent), roundingOf(imm)));  // of the last place
  const double size = std::ldexp(units, exponent - 10);
  if (size > 65504) {  // a rounding towards zero stays at the largest
    const int rounding = roundingOf(imm);
    const bool towardsZero = rounding == 3 || rounding == (sign ? 2 : 1);
    return sign | (towardsZero ? 0x7bff : 0x7c00);
  }
  if (size < 0x1p-14) return sign | uint16_t(size * 0x1p24);
  const int normal = std::ilogb(size);
  return sign | uint16_t((normal + 15) << 10 | (int(std::ldexp(size, 10 - normal)) - 1024));
}

bool holds(float x, float y, int predicate) {
  const bool unordered = std::isnan(x) || std::isnan(y);
  switch (predicate & 15) {
    case 0:
      return x == y;
    case 1:
      return x < y;
    case 2:
      return x <= y;
    case 3:
      return unordered;
    case 4:
      return !(x == y);
    case 5:
      return !(x < y);
    case 6:
      return !(x <= y);
    case 7:
      return !unordered;
    case 8:
      return x == y || unordered;
    case 9:
      return !(x >= y);
    case 10:
      return !(x > y);
    case 11:
      return false;
    case 12:
      return !unordered && x != y;
    case 13:
      return x >= y;
    case 14:
      return x > y;
    default:
      return true;
  }
}

// The guide's a · 2^⌊b⌋, and the manual's table of what is no number.
float scale(float a, float b) {
  if (std::isnan(b)) return b;
  if (std::isinf(b)) {
    const bool signaling = (std::bit_cast<uint32_t>(a) & 0x400000) == 0;
    if (std::isnan(a)) return signaling ? a : b > 0 ? INFINITY : 0.0f;
    if (b > 0) return a == 0 ? NAN : std::copysign(INFINITY, a);
    return std::isinf(a) ? NAN : std::copysign(0.0f, a);
  }
  const float most = std::clamp(std::floor(b), -700.0f, 700.0f);  // beyond it nothing changes
  return static_cast<float>(std::ldexp(static_cast<double>(a), static_cast<int>(most)));
}

uint32_t dot(const Input& in, size_t word) {
  uint32_t sum = lane<uint32_t>(in.c, word);
  for (size_t i = 4 * word; i < 4 * word + 4; ++i) sum += uint32_t(lane<uint8_t>(in.a, i) * lane<int8_t>(in.b, i));
  return sum;
}

// DST[127:0] and so on of the guide's INTERLEAVE: two words of each, from the low or the high half of every quarter.
void interleave(const Input& in, size_t first, Register& out) {
  for (size_t i = 0; i < 16; ++i) {
    const size_t from = i / 4 * 4 + first + i % 4 / 2;
    set(out, i, lane<uint32_t>(i % 2 == 0 ? in.a : in.b, from));
  }
}

}  // namespace

#define QUIPU_CODE(statement) [](const Input& in, [[maybe_unused]] int imm, Register& out) { statement; }
#define QUIPU_F32(result)     \
  QUIPU_CODE(eachLane<float>( \
      in, out,                \
      [=]([[maybe_unused]] float a, [[maybe_unused]] float b, [[maybe_unused]] float c) -> float { return result; }))
#define QUIPU_WORD(result)                                                                    \
  QUIPU_CODE(eachLane<uint32_t>(in, out,                                                      \
                                [=]([[maybe_unused]] uint32_t a, [[maybe_unused]] uint32_t b, \
                                    [[maybe_unused]] uint32_t c) -> uint32_t { return result; }))

const std::unordered_map<std::string, PseudoCode>& pseudoCode() {
  using enum LaneKind;
  static const std::unordered_map<std::string, PseudoCode> table = {
      {"_mm512_loadu_ps", {kBits, QUIPU_CODE(load<uint32_t>(in, out, 0xffff))}},
      {"_mm512_loadu_si512", {kBits, QUIPU_CODE(load<uint32_t>(in, out, 0xffff))}},
      {"_mm512_maskz_loadu_ps", {kBits, QUIPU_CODE(load<uint32_t>(in, out, in.mask))}},
      {"_mm256_maskz_loadu_epi16", {kBits, QUIPU_CODE(load<uint16_t>(in, out, in.mask))}},
      {"_mm_maskz_loadu_epi8", {kBits, QUIPU_CODE(load<uint8_t>(in, out, in.mask))}},
      {"_mm512_storeu_ps", {kBits, QUIPU_CODE(store<uint32_t>(in, out, 0xffff))}},
      {"_mm512_storeu_si512", {kBits, QUIPU_CODE(store<uint32_t>(in, out, 0xffff))}},
      {"_mm512_mask_storeu_ps", {kBits, QUIPU_CODE(store<uint32_t>(in, out, in.mask))}},
      {"_mm256_mask_storeu_epi16", {kBits, QUIPU_CODE(store<uint16_t>(in, out, in.mask))}},
      {"_mm_mask_storeu_epi8", {kBits, QUIPU_CODE(store<uint8_t>(in, out, in.mask))}},

      {"_mm512_setzero_ps", {kBits, QUIPU_WORD(0)}},
      {"_mm512_set1_ps", {kBits, QUIPU_WORD(lane<uint32_t>(in.a, 0))}},
      {"_mm512_add_ps", {kF32, QUIPU_F32(float(double(a) + b))}},
      {"_mm512_sub_ps", {kF32, QUIPU_F32(float(double(a) - b))}},
      {"_mm512_mul_ps", {kF32, QUIPU_F32(float(double(a) * b))}},
      {"_mm512_div_ps", {kF32, QUIPU_F32(float(double(a) / b))}},
      {"_mm512_max_ps", {kF32, QUIPU_F32(a > b ? a : b)}},
      {"_mm512_min_ps", {kF32, QUIPU_F32(a < b ? a : b)}},
      {"_mm512_xor_ps", {kBits, QUIPU_WORD(a ^ b)}},
      {"_mm512_fmadd_ps", {kF32, QUIPU_F32(fused(a, b, c))}},
      {"_mm512_sqrt_ps", {kF32, QUIPU_F32(float(std::sqrt(double(a))))}},
      {"_mm512_abs_ps", {kBits, QUIPU_WORD(a & 0x7fffffff)}},
      {"_mm512_roundscale_ps", {kF32, QUIPU_F32(roundScale(a, imm))}},
      {"_mm512_scalef_ps", {kF32, QUIPU_F32(scale(a, b))}},
      {"_mm512_reduce_max_ps",
       {kMaximum,
        QUIPU_CODE(float most = lane<float>(in.a, 0);
                   for (size_t i = 1; i < 16; ++i) most = std::fmax(most, lane<float>(in.a, i)); set(out, 0, most))}},
      {"_mm512_cmp_ps_mask",
       {kBits, QUIPU_CODE(uint16_t mask = 0; for (size_t i = 0; i < 16; ++i) mask |=
                                             holds(lane<float>(in.a, i), lane<float>(in.b, i), imm) << i;
                          set(out, 0, mask))}},
      {"_mm512_mask_blend_ps",
       {kBits,
        QUIPU_CODE(for (size_t i = 0; i < 16; ++i) set(out, i, lane<uint32_t>(in.mask >> i & 1 ? in.b : in.a, i)))}},

      {"_mm512_castps512_ps256",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 8; ++i) set(out, i, lane<uint32_t>(in.a, i)))}},
      {"_mm512_extractf32x8_ps",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 8; ++i) set(out, i, lane<uint32_t>(in.a, i + 8 * imm)))}},
      {"_mm512_castsi512_ps", {kBits, QUIPU_WORD(a)}},
      {"_mm512_unpacklo_ps", {kBits, QUIPU_CODE(interleave(in, 0, out))}},
      {"_mm512_unpackhi_ps", {kBits, QUIPU_CODE(interleave(in, 2, out))}},
      {"_mm512_shuffle_ps",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 16; ++i) set(
                   out, i, lane<uint32_t>(i % 4 < 2 ? in.a : in.b, i / 4 * 4 + (imm >> (2 * (i % 4)) & 3))))}},
      {"_mm512_shuffle_f32x4",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 16; ++i) set(
                   out, i, lane<uint32_t>(i < 8 ? in.a : in.b, 4 * (imm >> (2 * (i / 4)) & 3) + i % 4)))}},

      {"_mm512_setzero_si512", {kBits, QUIPU_WORD(0)}},
      {"_mm512_set1_epi32", {kBits, QUIPU_WORD(lane<uint32_t>(in.a, 0))}},
      {"_mm512_set1_epi16", {kBits, QUIPU_CODE(for (size_t i = 0; i < 32; ++i) set(out, i, lane<uint16_t>(in.a, 0)))}},
      {"_mm512_abs_epi8",
       {kBits,
        QUIPU_CODE((eachLane<int8_t>(in, out, [](int8_t a, int8_t, int8_t) { return int8_t(a < 0 ? -a : a); })))}},
      {"_mm512_mask_sub_epi8",
       {kBits, QUIPU_CODE(const auto mask = lane<uint64_t>(in.c, 0); for (size_t i = 0; i < 64; ++i)
                              set(out, i,
                                  mask >> i & 1 ? uint8_t(lane<uint8_t>(in.a, i) - lane<uint8_t>(in.b, i))
                                                : lane<uint8_t>(in.c, i)))}},
      {"_mm512_movepi8_mask",
       {kBits,
        QUIPU_CODE(uint64_t mask = 0; for (size_t i = 0; i < 64; ++i) mask |= uint64_t(lane<int8_t>(in.a, i) < 0) << i;
                   set(out, 0, mask))}},
      {"_mm512_set1_epi8", {kBits, QUIPU_CODE(for (size_t i = 0; i < 64; ++i) set(out, i, lane<uint8_t>(in.a, 0)))}},
      {"_mm512_and_si512", {kBits, QUIPU_WORD(a & b)}},
      {"_mm512_or_si512", {kBits, QUIPU_WORD(a | b)}},
      {"_mm512_mullo_epi32", {kBits, QUIPU_WORD(a * b)}},
      {"_mm512_mask_blend_epi16",
       {kBits, QUIPU_CODE(const auto mask = lane<uint32_t>(in.c, 0); for (size_t i = 0; i < 32; ++i)
                              set(out, i, lane<uint16_t>(mask >> i & 1 ? in.b : in.a, i)))}},
      {"_mm512_slli_epi16",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 32; ++i)
                              set(out, i, uint16_t(imm > 15 ? 0 : lane<uint16_t>(in.a, i) << imm)))}},
      {"_mm512_srli_epi16",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 32; ++i)
                              set(out, i, uint16_t(imm > 15 ? 0 : lane<uint16_t>(in.a, i) >> imm)))}},
      {"_mm512_srli_epi32", {kBits, QUIPU_WORD(imm > 31 ? 0 : a >> imm)}},
      {"_mm512_cvtepu8_epi32", {kBits, QUIPU_CODE((convert<uint8_t, uint32_t>(in, out, [](uint8_t x) { return x; })))}},
      {"_mm512_dpwssd_epi32",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 16; ++i)
                              set(out, i, lane<uint32_t>(in.c, i) + uint32_t(pairOfWords(in, i))))}},
      {"_mm512_xor_si512", {kBits, QUIPU_WORD(a ^ b)}},
      {"_mm512_maddubs_epi16", {kBits, QUIPU_CODE(for (size_t i = 0; i < 32; ++i) set(out, i, pairOfBytes(in, i)))}},
      {"_mm512_madd_epi16", {kBits, QUIPU_CODE(for (size_t i = 0; i < 16; ++i) set(out, i, pairOfWords(in, i)))}},
      {"_mm512_add_epi16",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 32; ++i)
                              set(out, i, uint16_t(lane<uint16_t>(in.a, i) + lane<uint16_t>(in.b, i))))}},
      {"_mm512_add_epi32", {kBits, QUIPU_WORD(a + b)}},
      {"_mm512_add_epi64",
       {kBits,
        QUIPU_CODE(for (size_t i = 0; i < 8; ++i) set(out, i, lane<uint64_t>(in.a, i) + lane<uint64_t>(in.b, i)))}},
      {"_mm512_sub_epi32", {kBits, QUIPU_WORD(a - b)}},
      {"_mm512_slli_epi32", {kBits, QUIPU_WORD(imm > 31 ? 0 : a << imm)}},
      {"_mm512_srai_epi32", {kBits, QUIPU_WORD(uint32_t(int32_t(a) >> (imm > 31 ? 31 : imm)))}},

      {"_mm512_cvtepu16_epi32",
       {kBits, QUIPU_CODE((convert<uint16_t, uint32_t>(in, out, [](uint16_t x) { return x; })))}},
      {"_mm512_cvtepi8_epi32", {kBits, QUIPU_CODE((convert<int8_t, int32_t>(in, out, [](int8_t x) { return x; })))}},
      {"_mm512_cvtsepi32_epi8",
       {kBits, QUIPU_CODE((
                   convert<int32_t, int8_t>(in, out, [](int32_t x) { return x < -128  ? -128
                                                                            : x > 127 ? 127
                                                                                      : x; })))}},
      {"_mm512_cvtepi32_ps",
       {kBits, QUIPU_CODE((convert<int32_t, float>(in, out, [](int32_t x) { return float(double(x)); })))}},
      {"_mm512_cvtps_epi32", {kBits, QUIPU_CODE((convert<float, int32_t>(in, out, toInt<int32_t>)))}},
      {"_mm512_cvtps_epi64",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 8; ++i) set(out, i, toInt<int64_t>(lane<float>(in.a, i))))}},
      {"_mm512_cvtph_ps", {kF32, QUIPU_CODE((convert<uint16_t, float>(in, out, halfToFloat)))}},
      {"_mm512_cvtps_ph",
       {kF16, QUIPU_CODE((convert<float, uint16_t>(in, out, [=](float x) { return floatToHalf(x, imm); })))}},

      {"_mm512_dpbusd_epi32", {kBits, QUIPU_CODE(for (size_t i = 0; i < 16; ++i) set(out, i, dot(in, i)))}},
      {"_mm256_dpbusd_epi32", {kBits, QUIPU_CODE(for (size_t i = 0; i < 8; ++i) set(out, i, dot(in, i)))}},
      {"_mm256_dpbusd_avx_epi32", {kBits, QUIPU_CODE(for (size_t i = 0; i < 8; ++i) set(out, i, dot(in, i)))}},
      {"_mm256_dpwssd_avx_epi32",
       {kBits, QUIPU_CODE(for (size_t i = 0; i < 8; ++i)
                              set(out, i, lane<uint32_t>(in.c, i) + uint32_t(pairOfWords(in, i))))}},
  };
  return table;
}

}  // namespace quipu::test

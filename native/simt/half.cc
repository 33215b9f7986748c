// bf16 and f16 by their bits: rounded to nearest even, subnormals kept, as cvt.rn and fma.rn of PTX do.
#include <algorithm>
#include <bit>
#include <cmath>

#include "simt/gpu.h"

namespace quipu::simt {

namespace {

constexpr uint16_t kNanBf16 = 0x7fff, kNanHalf = 0x7fff;  // the canonical NaN of both conversions

uint16_t bf16Of(float value) {
  if (std::isnan(value)) return kNanBf16;
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// A number of more than f16's digits, rounded once.
uint16_t roundToHalf(double value) {
  if (std::isnan(value)) return kNanHalf;
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520.0) return sign | 0x7c00;
  int exponent = magnitude == 0 ? -14 : std::max(std::ilogb(magnitude), -14);
  auto digits = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  if (digits == 2048) {
    digits = 1024;
    ++exponent;
  }
  if (digits < 1024) return static_cast<uint16_t>(sign | digits);  // subnormal
  return static_cast<uint16_t>(sign | static_cast<uint32_t>(exponent + 15) << 10 | (digits - 1024));
}

template <typename F>
uint32_t eachHalf(F&& f) {
  return f(0) | static_cast<uint32_t>(f(16)) << 16;
}

double at(uint32_t pair, int shift) { return floatOfHalf(static_cast<uint16_t>(pair >> shift)); }

}  // namespace

uint32_t packBf16(float low, float high) { return bf16Of(low) | static_cast<uint32_t>(bf16Of(high)) << 16; }

uint16_t halfOf(float value) { return roundToHalf(value); }

float floatOfHalf(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, exponent = bits >> 10 & 31, digits = bits & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | digits << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | digits << 13);
  const float magnitude = static_cast<float>(digits) * 0x1p-24f;
  return sign != 0 ? -magnitude : magnitude;
}

// A product of two halves, and its sum with a third, have at most 42 + 11 digits between 2^-48 and 2^32 where the
// smaller one still counts: the sum in f64 is exact or rounded where f16 has long been decided, but for ties that lie
// beyond 53 digits, which std::fma keeps out by rounding to odd below.
uint32_t fma2(uint32_t a, uint32_t b, uint32_t c) {
  return eachHalf([&](int shift) {
    const double product = at(a, shift) * at(b, shift), addend = at(c, shift);  // the product is exact
    const double sum = product + addend;
    if (!std::isfinite(sum)) return roundToHalf(sum);
    // What the sum has lost (two-sum), to tell a tie from a near tie.
    const double back = sum - product, lost = (product - (sum - back)) + (addend - back);
    auto bits = std::bit_cast<uint64_t>(sum);
    if (lost != 0 && (bits & 1) == 0) bits += (lost > 0) == (sum > 0) ? 1 : -1;
    return roundToHalf(std::bit_cast<double>(bits));
  });
}

}  // namespace quipu::simt

// Conversions and arithmetic of halves against the compiler's own f16, and bit functions against their definitions.
#include <cmath>

#include "harness.h"
#include "simt/gpu.h"

namespace quipu::simt::test {

namespace {

float fromHalf(uint16_t bits) { return static_cast<float>(std::bit_cast<_Float16>(bits)); }
uint16_t toHalf(float value) { return std::bit_cast<uint16_t>(static_cast<_Float16>(value)); }
bool isNan(uint16_t bits) { return (bits & 0x7fff) > 0x7c00; }

void testHalves() {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = halfToFloat(half);
    SIMT_EXPECT(isNan(half) ? std::isnan(value) : value == fromHalf(half) && std::signbit(value) == (half >> 15 == 1));
    if (!isNan(half)) SIMT_EXPECT(halfBits(value) == half);
  }
  // Every exponent; ties and their neighbours among the digits.
  for (uint32_t high = 0; high < 0x10000; ++high) {
    for (const uint32_t low : {0x0u, 0x1u, 0xfffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const float value = std::bit_cast<float>(high << 16 | low);
      if (std::isnan(value)) {
        SIMT_EXPECT(halfBits(value) == 0x7fff);
        SIMT_EXPECT(bf16Pair(value, 0) == 0x7fff);
        continue;
      }
      SIMT_EXPECT(halfBits(value) == toHalf(value));
      // bf16: of the two numbers around, the nearer one, else the even one.
      const uint16_t got = static_cast<uint16_t>(bf16Pair(0, value) >> 16);
      const uint32_t up = low > 0x8000 || (low == 0x8000 && high % 2 == 1) ? high + 1 : high;
      SIMT_EXPECT(got == up);
    }
  }
  SIMT_EXPECT(bf16Pair(1, 2) == 0x40003f80 && halfPair(1, 2) == 0x40003c00);
}

uint16_t exactFma(uint16_t a, uint16_t b, uint16_t c) {
  // 113 digits hold every sum exactly; the conversion rounds once.
  const __float128 sum = static_cast<__float128>(fromHalf(a)) * fromHalf(b) + fromHalf(c);
  return std::bit_cast<uint16_t>(static_cast<_Float16>(sum));
}

void testArithmetic() {
  uint64_t x = 99;
  const auto next = [&] { return static_cast<uint16_t>((x = x * 6364136223846793005u + 1442695040888963407u) >> 48); };
  for (int i = 0; i < 300000; ++i) {
    uint16_t a = next(), b = next(), c = next();
    if (i % 3 == 0) {  // a sum near a tie: c is a long way from a · b
      a = static_cast<uint16_t>((a & 0x83ff) | (8 + a % 8) << 10);
      b = static_cast<uint16_t>((b & 0x83ff) | (8 + b % 8) << 10);
      c = static_cast<uint16_t>((c & 0x83ff) | (14 + c % 12) << 10);
    }
    const uint32_t got = halfFma2(a | static_cast<uint32_t>(c) << 16, b | static_cast<uint32_t>(a) << 16,
                                  c | static_cast<uint32_t>(b) << 16);
    const uint16_t low = exactFma(a, b, c), high = exactFma(c, a, b);
    SIMT_EXPECT(isNan(low) ? isNan(static_cast<uint16_t>(got)) : static_cast<uint16_t>(got) == low);
    SIMT_EXPECT(isNan(high) ? isNan(static_cast<uint16_t>(got >> 16)) : got >> 16 == high);
  }
}

template <int kTable>
void testTable() {
  for (uint32_t bits = 0; bits < 8; ++bits) {
    const uint32_t a = bits & 4 ? ~0u : 0, b = bits & 2 ? ~0u : 0, c = bits & 1 ? ~0u : 0;
    SIMT_EXPECT(lop3<kTable>(a, b, c) == ((kTable >> bits & 1) != 0 ? ~0u : 0));
  }
}

void testBits() {
  testTable<0xea>();  // (a & b) | c, as dequantization has it
  testTable<0x96>();
  testTable<0x01>();
  SIMT_EXPECT(lop3<(0xf0 & 0xcc) | 0xaa>(0x12345678, 0x000f000f, 0x64006400) == 0x64046408);
  SIMT_EXPECT(__byte_perm(0x33221100, 0x77665544, 0x7531) == 0x77553311);
  SIMT_EXPECT(__byte_perm(0x33221100, 0x77665544, 0x0246) == 0x00224466);
  SIMT_EXPECT(__clz(1) == 31 && __clz(0) == 32 && __ffs(0) == 0 && __ffs(8) == 4 && __popc(0xf0f) == 8);
  SIMT_EXPECT(__umulhi(0xffffffff, 0xffffffff) == 0xfffffffe);
  SIMT_EXPECT(__umul64hi(~0ull, ~0ull) == ~0ull - 1);
  SIMT_EXPECT(powerOfTwo(-126) == 0x1p-126f && powerOfTwo(-127) == 0 && powerOfTwo(3) == 8);
}

}  // namespace

void testNumbers() {
  testHalves();
  testArithmetic();
  testBits();
}

}  // namespace quipu::simt::test

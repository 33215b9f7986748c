// Products of weights of four and six bits in plain C++. This file is the definition; avx2_nibbles.h and
// avx512_nibbles.h offer the same functions and the same numbers, which are exact. Codes have no sign, four of each of
// sixteen rows side by side: byte 4 r + i is code i of row r. Activations a lie in −127 … 127. Nothing is aligned.
//
//   ucodes16 lowNibbles(p) highNibbles(p)    the halves of 64 bytes: codes of 0 … 15
//   ucodes16 sixBits(low, p, field)          low + 16 · bits 2 field and 2 field + 1 of 64 bytes: codes of 0 … 63
//   ucodes16 loadUnsigned(p) store(p, w)     64 bytes of one code each
//   partial16 noPartial()                    sixteen sums of 0
//   dot(partial16, w, a)                     adds Σ w[r][i] · a[i], i < 4, to lane r: w in 0 … 15, at most eight times
//   dots16 dotsFrom(first)                   sixteen sums of `first`
//   dot(dots16, w, a)                        w in 0 … 63: where kFusedDots
//   dotTwo(dots16, w0, w1, a)                w0 by a and w1 by a + 4, each in 0 … 63: where not
//   addScaled(dots16, sums, factors, which)  adds sums[r] · factors[r][which], which lie in 0 … 63, to lane r
//   factors16 factorsOf(factors, which)      factors[r][which], for many sums
//   scaled16 noScaled()                      sixteen sums of 0
//   addScaled(scaled16, sums, factors16)     adds sums[r] · factors[r] to lane r: at most four times, so that f32 has
//                                            each sum exactly: 4 · 63 · 32 · 15 · 127 < 2²⁴
//   totals(scaled16, scaled16)               f32x16: the sums of both, rounded once, to nearest even
//   addPairs(dots16, factors, two)           adds factors[r][0] · two[0] + factors[r][1] · two[1] to lane r
//   pairs16 scalesOf(side) minimumsOf(side)  of 48 bytes: for row r and half h the numbers of six bits whose lower four
//                                            are the lower and the upper half of byte 2 r + h, and whose upper two lie
//                                            in byte 32 + r, from bit 4 h and from bit 4 h + 2 on

struct ucodes16 {
  uint8_t code[64];
};

using partial16 = dots16;  // without VNNI it has 16 bits: that is why eight times are all
using scaled16 = dots16;

struct pairs16 {
  int16_t of[16][2];
};

struct factors16 {
  int16_t of[16];
};

QUIPU_INLINE ucodes16 loadUnsigned(const uint8_t* p) {
  ucodes16 w;
  __builtin_memcpy(w.code, p, sizeof w.code);
  return w;
}

QUIPU_INLINE void store(uint8_t* p, const ucodes16& w) { __builtin_memcpy(p, w.code, sizeof w.code); }

QUIPU_INLINE ucodes16 lowNibbles(const uint8_t* p) {
  ucodes16 w;
  for (int i = 0; i < 64; ++i) w.code[i] = p[i] & 15;
  return w;
}

QUIPU_INLINE ucodes16 highNibbles(const uint8_t* p) {
  ucodes16 w;
  for (int i = 0; i < 64; ++i) w.code[i] = p[i] >> 4;
  return w;
}

QUIPU_INLINE ucodes16 sixBits(ucodes16 low, const uint8_t* p, int field) {
  for (int i = 0; i < 64; ++i) low.code[i] = uint8_t(low.code[i] | (p[i] >> (2 * field) & 3) << 4);
  return low;
}

QUIPU_INLINE partial16 noPartial() { return {}; }

QUIPU_INLINE dots16 dot(dots16 sums, const ucodes16& w, const int8_t* a) {
  for (int r = 0; r < 16; ++r) {
    for (int i = 0; i < 4; ++i) sums.lane[r] += int32_t(w.code[4 * r + i]) * a[i];
  }
  return sums;
}

QUIPU_INLINE dots16 dotTwo(dots16 sums, const ucodes16& w0, const ucodes16& w1, const int8_t* a) {
  return dot(dot(sums, w0, a), w1, a + 4);
}

QUIPU_INLINE dots16 dotsFrom(int32_t first) {
  dots16 sums;
  for (int32_t& lane : sums.lane) lane = first;
  return sums;
}

QUIPU_INLINE dots16 addScaled(dots16 total, const partial16& sums, const pairs16& factors, int which) {
  for (int r = 0; r < 16; ++r) total.lane[r] += sums.lane[r] * factors.of[r][which];
  return total;
}

QUIPU_INLINE factors16 factorsOf(const pairs16& factors, int which) {
  factors16 one;
  for (int r = 0; r < 16; ++r) one.of[r] = factors.of[r][which];
  return one;
}

QUIPU_INLINE scaled16 noScaled() { return {}; }

QUIPU_INLINE scaled16 addScaled(scaled16 total, const partial16& sums, const factors16& factors) {
  for (int r = 0; r < 16; ++r) total.lane[r] += sums.lane[r] * factors.of[r];
  return total;
}

QUIPU_INLINE f32x16 totals(scaled16 a, const scaled16& b) {
  for (int r = 0; r < 16; ++r) a.lane[r] += b.lane[r];
  return totals(a);
}

QUIPU_INLINE dots16 addPairs(dots16 total, const pairs16& factors, const int16_t* two) {
  for (int r = 0; r < 16; ++r) total.lane[r] += factors.of[r][0] * two[0] + factors.of[r][1] * two[1];
  return total;
}

QUIPU_INLINE pairs16 scalesOf(const uint8_t* side) {
  pairs16 p;
  for (int r = 0; r < 16; ++r) {
    for (int h = 0; h < 2; ++h) p.of[r][h] = int16_t((side[2 * r + h] & 15) | (side[32 + r] >> (4 * h) & 3) << 4);
  }
  return p;
}

QUIPU_INLINE pairs16 minimumsOf(const uint8_t* side) {
  pairs16 p;
  for (int r = 0; r < 16; ++r) {
    for (int h = 0; h < 2; ++h) p.of[r][h] = int16_t(side[2 * r + h] >> 4 | (side[32 + r] >> (4 * h + 2) & 3) << 4);
  }
  return p;
}

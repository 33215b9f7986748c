// Products of weights of four bits in plain C++. This file is the definition; avx2_nibbles.h and avx512_nibbles.h offer
// the same functions and the same numbers, which are exact. Codes lie in 0 … 15, four of each of sixteen rows side by
// side: byte 4 r + i is code i of row r.
//
//   nibbles16 lowNibbles(p) highNibbles(p)   of 64 bytes, unaligned
//   nibbles16 loadNibbles(p)  store(p, w)    64 bytes of one code each
//   partial16 noPartial()                    sixteen sums of 0
//   dot(sums, w, a)                          adds Σ w[r][i] · a[i], i < 4, a in −127 … 127, to lane r: at most eight
//   times i32x16 noWhole()                         sixteen sums of 0 addScaled(total, sums, factors, half)     adds
//   sums[r] · factors[r][half], which lie in 0 … 63, to lane r addPairs(total, factors, two)            adds
//   factors[r][0] · two[0] + factors[r][1] · two[1] to lane r pairs16 scalesOf(side) minimumsOf(side)  of 48 bytes: for
//   row r and half h the numbers of six bits whose lower four are
//                                            the lower and the upper half of byte 2 r + h, and whose upper two lie in
//                                            byte 32 + r, from bit 4 h and from bit 4 h + 2 on
//   f32x16 numbers(total)                    rounded to nearest even

struct nibbles16 {
  uint8_t code[64];
};

struct partial16 {
  int32_t lane[16];
};

struct i32x16 {
  int32_t lane[16];
};

struct pairs16 {
  int16_t of[16][2];
};

QUIPU_INLINE nibbles16 loadNibbles(const uint8_t* p) {
  nibbles16 w;
  __builtin_memcpy(w.code, p, sizeof w.code);
  return w;
}

QUIPU_INLINE void store(uint8_t* p, const nibbles16& w) { __builtin_memcpy(p, w.code, sizeof w.code); }

QUIPU_INLINE nibbles16 lowNibbles(const uint8_t* p) {
  nibbles16 w;
  for (int i = 0; i < 64; ++i) w.code[i] = p[i] & 15;
  return w;
}

QUIPU_INLINE nibbles16 highNibbles(const uint8_t* p) {
  nibbles16 w;
  for (int i = 0; i < 64; ++i) w.code[i] = p[i] >> 4;
  return w;
}

QUIPU_INLINE partial16 noPartial() { return {}; }
QUIPU_INLINE i32x16 noWhole() { return {}; }

QUIPU_INLINE partial16 dot(partial16 sums, const nibbles16& w, const int8_t* a) {
  for (int r = 0; r < 16; ++r) {
    for (int i = 0; i < 4; ++i) sums.lane[r] += int32_t(w.code[4 * r + i]) * a[i];
  }
  return sums;
}

QUIPU_INLINE i32x16 addScaled(i32x16 total, const partial16& sums, const pairs16& factors, int half) {
  for (int r = 0; r < 16; ++r) total.lane[r] += sums.lane[r] * factors.of[r][half];
  return total;
}

QUIPU_INLINE i32x16 addPairs(i32x16 total, const pairs16& factors, const int16_t* two) {
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

QUIPU_INLINE f32x16 numbers(const i32x16& total) {
  f32x16 r;
  for (int l = 0; l < 16; ++l) r.lane[l] = float(total.lane[l]);
  return r;
}

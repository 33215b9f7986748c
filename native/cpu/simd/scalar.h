// f32x16 in plain C++: sixteen lanes, each computed by IEEE operations and fmaf. This file is the definition; avx2.h
// and avx512.h offer the same functions and the same bits with registers. Included inside a target's own namespace only
// (trap: the one-definition rule), with internal linkage. What a kernel may use, in every simd/<isa>.h:
//
//   f32x16                              sixteen f32 lanes
//   zero() broadcast(x)
//   load(p) store(p, v)                 unaligned, f32
//   loadPart(p, n) storePart(p, v, n)   the first n ≤ 16 lanes; the others are +0, nothing beyond is touched
//   widenBf16(p) widenF16(p) widenI8(p) and …Part(p, n)    sixteen stored values, widened exactly
//   narrowF16(p, v) (…Part)             rounds to nearest even
//   narrowI8(p, v) (…Part)              lanes are integers of −128 … 127
//   fma(a, b, c) add sub mul div sqrt max min negate abs rint   lane by lane; fma rounds once
//                                       max is a > b ? a : b and min a < b ? a : b, so a NaN in b wins
//   sum(v)                              the halving sum of docs/numerics.md
//   sums(v[16])                         lane i is sum(v[i])
//   maximum(v)                          the greatest lane; no lane may be NaN, and a zero may have either sign
//   less(a, b) lessEqual equal isNan(v) → m16; select(m, a, b) is a where m is set; any(m)
//   both(m, n) either(m, n) bits(m)     bits: lane l is bit l of a uint32_t; firstLanes(n): the first n ≤ 16 lanes
//   scaleByPowerOfTwo(v, n)             v · 2ⁿ, rounded once, for v of ½ … 2 and n with integral lanes, |n| ≤ 160
//   swapped<n>(v)                       lanes l and l ^ n change places; n is 1, 2, 4 or 8
//   hadamard(v)                         butterflies (a, b) → (a + b, a − b) of lanes 1 apart, then 2, 4 and 8
//   transpose(rows[16])                 in place, 16 × 16
//   u64x16 wholes(v)                    each lane to the nearest whole number, ties to even; lanes lie in [0, 2⁵¹]
//   noWholes() add(a, b) sum(a) store(p, a)    of u64x16: all 0; lane by lane; over the lanes; sixteen uint64_t
//
// Pointers need no more alignment than their element. Bits of a NaN are not defined beyond being NaN.

static constexpr int kWideRegisters = 4;  // of f32x16 that stay in registers: tile sizes follow from it

struct f32x16 {
  float lane[16];
};

using m16 = uint32_t;  // bit l: lane l

QUIPU_INLINE f32x16 broadcast(float x) {
  f32x16 r;
  for (int l = 0; l < 16; ++l) r.lane[l] = x;
  return r;
}

QUIPU_INLINE f32x16 zero() { return broadcast(0.0f); }

QUIPU_INLINE f32x16 loadPart(const float* p, size_t n) {
  f32x16 r = zero();
  for (size_t l = 0; l < n; ++l) r.lane[l] = p[l];
  return r;
}

QUIPU_INLINE f32x16 load(const float* p) { return loadPart(p, 16); }

QUIPU_INLINE void storePart(float* p, f32x16 v, size_t n) {
  for (size_t l = 0; l < n; ++l) p[l] = v.lane[l];
}

QUIPU_INLINE void store(float* p, f32x16 v) { storePart(p, v, 16); }

QUIPU_INLINE float floatOfBits(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

QUIPU_INLINE uint32_t bitsOfFloat(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}

QUIPU_INLINE float floatOfF16(uint16_t half) {
  const uint32_t sign = uint32_t(half & 0x8000) << 16, exponent = (half >> 10) & 31, fraction = half & 0x3ff;
  if (exponent == 31) return floatOfBits(sign | 0x7f800000 | (fraction << 13) | (fraction ? 0x400000 : 0));
  if (exponent > 0) return floatOfBits(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float magnitude = float(fraction) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

QUIPU_INLINE uint16_t f16OfFloat(float x) {
  const uint32_t bits = bitsOfFloat(x), sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return uint16_t(sign | 0x7e00 | ((magnitude >> 13) & 0x3ff));
  if (magnitude >= 0x477ff000) return uint16_t(sign | 0x7c00);  // 65520 and more rounds to infinity
  if (magnitude < 0x38800000) {  // below 2⁻¹⁴: a multiple of 2⁻²⁴, rounded by the addition
    const uint32_t rounded = bitsOfFloat(floatOfBits(magnitude) + 0.5f);
    return uint16_t(sign | (rounded - 0x3f000000));
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return uint16_t(sign | ((rounded - 0x38000000) >> 13));
}

QUIPU_INLINE f32x16 widenBf16Part(const uint16_t* p, size_t n) {
  f32x16 r = zero();
  for (size_t l = 0; l < n; ++l) r.lane[l] = floatOfBits(uint32_t(p[l]) << 16);
  return r;
}

QUIPU_INLINE f32x16 widenBf16(const uint16_t* p) { return widenBf16Part(p, 16); }

QUIPU_INLINE f32x16 widenF16Part(const uint16_t* p, size_t n) {
  f32x16 r = zero();
  for (size_t l = 0; l < n; ++l) r.lane[l] = floatOfF16(p[l]);
  return r;
}

QUIPU_INLINE f32x16 widenF16(const uint16_t* p) { return widenF16Part(p, 16); }

QUIPU_INLINE f32x16 widenI8Part(const int8_t* p, size_t n) {
  f32x16 r = zero();
  for (size_t l = 0; l < n; ++l) r.lane[l] = float(p[l]);
  return r;
}

QUIPU_INLINE f32x16 widenI8(const int8_t* p) { return widenI8Part(p, 16); }

QUIPU_INLINE void narrowF16Part(uint16_t* p, f32x16 v, size_t n) {
  for (size_t l = 0; l < n; ++l) p[l] = f16OfFloat(v.lane[l]);
}

QUIPU_INLINE void narrowF16(uint16_t* p, f32x16 v) { narrowF16Part(p, v, 16); }

QUIPU_INLINE void narrowI8Part(int8_t* p, f32x16 v, size_t n) {
  for (size_t l = 0; l < n; ++l) p[l] = int8_t(v.lane[l]);
}

QUIPU_INLINE void narrowI8(int8_t* p, f32x16 v) { narrowI8Part(p, v, 16); }

QUIPU_INLINE f32x16 fma(f32x16 a, f32x16 b, f32x16 c) {
  for (int l = 0; l < 16; ++l) c.lane[l] = __builtin_fmaf(a.lane[l], b.lane[l], c.lane[l]);
  return c;
}

QUIPU_INLINE f32x16 add(f32x16 a, f32x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] += b.lane[l];
  return a;
}

QUIPU_INLINE f32x16 sub(f32x16 a, f32x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] -= b.lane[l];
  return a;
}

QUIPU_INLINE f32x16 mul(f32x16 a, f32x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] *= b.lane[l];
  return a;
}

QUIPU_INLINE f32x16 div(f32x16 a, f32x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] /= b.lane[l];
  return a;
}

QUIPU_INLINE f32x16 sqrt(f32x16 v) {
  for (int l = 0; l < 16; ++l) v.lane[l] = __builtin_sqrtf(v.lane[l]);
  return v;
}

QUIPU_INLINE f32x16 max(f32x16 a, f32x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
  return a;
}

QUIPU_INLINE f32x16 min(f32x16 a, f32x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] = a.lane[l] < b.lane[l] ? a.lane[l] : b.lane[l];
  return a;
}

QUIPU_INLINE f32x16 negate(f32x16 v) {
  for (int l = 0; l < 16; ++l) v.lane[l] = -v.lane[l];
  return v;
}

QUIPU_INLINE f32x16 abs(f32x16 v) {
  for (int l = 0; l < 16; ++l) v.lane[l] = __builtin_fabsf(v.lane[l]);
  return v;
}

QUIPU_INLINE f32x16 rint(f32x16 v) {
  for (int l = 0; l < 16; ++l) v.lane[l] = __builtin_rintf(v.lane[l]);
  return v;
}

QUIPU_INLINE float sum(f32x16 v) {
  for (int half = 8; half > 0; half /= 2) {
    for (int l = 0; l < half; ++l) v.lane[l] += v.lane[l + half];
  }
  return v.lane[0];
}

QUIPU_INLINE f32x16 sums(const f32x16 (&v)[16]) {
  f32x16 r;
  for (int i = 0; i < 16; ++i) r.lane[i] = sum(v[i]);
  return r;
}

QUIPU_INLINE float maximum(f32x16 v) {
  for (int l = 1; l < 16; ++l) v.lane[0] = v.lane[0] > v.lane[l] ? v.lane[0] : v.lane[l];
  return v.lane[0];
}

QUIPU_INLINE m16 less(f32x16 a, f32x16 b) {
  m16 m = 0;
  for (int l = 0; l < 16; ++l) m |= m16(a.lane[l] < b.lane[l]) << l;
  return m;
}

QUIPU_INLINE m16 lessEqual(f32x16 a, f32x16 b) {
  m16 m = 0;
  for (int l = 0; l < 16; ++l) m |= m16(a.lane[l] <= b.lane[l]) << l;
  return m;
}

QUIPU_INLINE m16 equal(f32x16 a, f32x16 b) {
  m16 m = 0;
  for (int l = 0; l < 16; ++l) m |= m16(a.lane[l] == b.lane[l]) << l;
  return m;
}

QUIPU_INLINE m16 isNan(f32x16 v) {
  m16 m = 0;
  for (int l = 0; l < 16; ++l) m |= m16(v.lane[l] != v.lane[l]) << l;
  return m;
}

QUIPU_INLINE f32x16 select(m16 m, f32x16 a, f32x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] = (m >> l) & 1 ? a.lane[l] : b.lane[l];
  return a;
}

QUIPU_INLINE m16 both(m16 m, m16 n) { return m & n; }
QUIPU_INLINE m16 either(m16 m, m16 n) { return m | n; }
QUIPU_INLINE uint32_t bits(m16 m) { return m; }
QUIPU_INLINE bool any(m16 m) { return m != 0; }
QUIPU_INLINE m16 firstLanes(size_t n) { return (1u << n) - 1; }

// In two steps, as 2ⁿ itself may be no f32; the first is exact.
QUIPU_INLINE f32x16 scaleByPowerOfTwo(f32x16 v, f32x16 n) {
  for (int l = 0; l < 16; ++l) {
    const int32_t power = int32_t(n.lane[l]), half = power >> 1;
    v.lane[l] *= floatOfBits(uint32_t(half + 127) << 23);
    v.lane[l] *= floatOfBits(uint32_t(power - half + 127) << 23);
  }
  return v;
}

template <int kApart>
QUIPU_INLINE f32x16 swapped(f32x16 v) {
  f32x16 r;
  for (int l = 0; l < 16; ++l) r.lane[l] = v.lane[l ^ kApart];
  return r;
}

QUIPU_INLINE f32x16 hadamard(f32x16 v) {
  for (int apart = 1; apart < 16; apart *= 2) {
    for (int l = 0; l < 16; ++l) {
      if (l & apart) continue;
      const float a = v.lane[l], b = v.lane[l + apart];
      v.lane[l] = a + b;
      v.lane[l + apart] = a - b;
    }
  }
  return v;
}

QUIPU_INLINE void transpose(f32x16 (&rows)[16]) {
  for (int r = 0; r < 16; ++r) {
    for (int c = 0; c < r; ++c) {
      const float x = rows[r].lane[c];
      rows[r].lane[c] = rows[c].lane[r];
      rows[c].lane[r] = x;
    }
  }
}

struct u64x16 {
  uint64_t lane[16];
};

QUIPU_INLINE u64x16 noWholes() { return {}; }

QUIPU_INLINE u64x16 wholes(f32x16 v) {
  u64x16 r;
  for (int l = 0; l < 16; ++l) r.lane[l] = uint64_t(__builtin_rintf(v.lane[l]));
  return r;
}

QUIPU_INLINE u64x16 add(u64x16 a, u64x16 b) {
  for (int l = 0; l < 16; ++l) a.lane[l] += b.lane[l];
  return a;
}

QUIPU_INLINE uint64_t sum(u64x16 a) {
  for (int l = 1; l < 16; ++l) a.lane[0] += a.lane[l];
  return a.lane[0];
}

QUIPU_INLINE void store(uint64_t* p, u64x16 a) {
  for (int l = 0; l < 16; ++l) p[l] = a.lane[l];
}

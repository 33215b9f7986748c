// Products of whole numbers in plain C++: codes of sixteen weight rows against codes of an activation row. This file is
// the definition; avx2_dots.h, avx_vnni_dots.h, avx512_dots.h and avx512_vnni_dots.h offer the same functions and the
// same numbers, which are exact. Weights lie in −128 … 127, activations in −127 … 127, and four of each row side by
// side: byte 4 r + i is code i of row r.
//
//   kFusedDots                 whether one instruction multiplies four codes and adds: tiles have room for more sums
//   codes16 loadCodes(p)       64 bytes, unaligned
//   dots16 dotsOf(first)       sixteen sums of 0; first: −128 · Σ a of all that will be added
//   dot(sums, w, a)            adds Σ w[r][i] · a[i], i < 4, to lane r
//   totals(sums)               f32x16: the sums, rounded to nearest even; those of at most 1,024 products are exact
//
// And for the roof of such products (kernels/roofline.h), where no operand is large and no order matters:
//
//   addOnes(sums, ones)        adds 32 products of 1 by 1 to every lane of several; `ones`: 64 of them, 64-byte aligned

static constexpr bool kFusedDots = false;

struct codes16 {
  int8_t code[64];
};

struct dots16 {
  int32_t lane[16];
};

QUIPU_INLINE codes16 loadCodes(const int8_t* p) {
  codes16 w;
  __builtin_memcpy(w.code, p, sizeof w.code);
  return w;
}

QUIPU_INLINE dots16 dotsOf(int32_t) { return {}; }

QUIPU_INLINE dots16 dot(dots16 sums, const codes16& w, const int8_t* a) {
  for (int r = 0; r < 16; ++r) {
    for (int i = 0; i < 4; ++i) sums.lane[r] += int32_t(w.code[4 * r + i]) * a[i];
  }
  return sums;
}

template <int kChains>
QUIPU_INLINE void addOnes(dots16 (&sums)[kChains], const int8_t* ones) {
  for (dots16& chain : sums) {
    for (int i = 0; i < 8; ++i) {
      changed(ones);
      chain = dot(chain, loadCodes(ones), ones);
    }
  }
}

QUIPU_INLINE f32x16 totals(const dots16& sums) {
  f32x16 r;
  for (int l = 0; l < 16; ++l) r.lane[l] = float(sums.lane[l]);
  return r;
}

// f32x16 in plain C++: sixteen lanes, each computed by IEEE operations and std::fma. This file is the definition; avx2.h
// and avx512.h offer the same functions and the same bits with registers. Included inside a target's own namespace only
// (trap: the one-definition rule), with internal linkage. What a kernel may use, in every simd/<isa>.h:
//
//   f32x16                              sixteen f32 lanes
//   zero() broadcast(x)
//   load(p) store(p, v)                 unaligned, f32
//   loadPart(p, n) storePart(p, v, n)   the first n ≤ 16 lanes; the others are +0, nothing beyond is touched
//   widenBf16(p) widenF16(p) widenI8(p) and …Part(p, n)    sixteen stored values, widened exactly
//   narrowF16(p, v) (…Part)             rounds to nearest even
//   fma(a, b, c) add sub mul div sqrt max min negate rint   lane by lane
//   sum(v)                              the halving sum of docs/numerics.md
//   maximum(v)                          the greatest lane
//   less(a, b) → m16, select(m, a, b)   masks; isNan(v) → m16, any(m)
//   scaleByPowerOfTwo(v, n)             v · 2ⁿ for n with integral lanes, |n| ≤ 160, in two exact-or-once-rounded steps
//   transpose(rows[16])                 in place, 16 × 16

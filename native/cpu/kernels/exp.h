// exp of sixteen lanes, the one of docs/numerics.md: n = rint(x log₂e), r = x − n ln 2 in two parts, a polynomial of
// degree 7 in r (Chebyshev interpolation of (eʳ − 1 − r)/r² on |r| ≤ ln 2 / 2, rounded to f32), times 2ⁿ. Error below 1
// ulp wherever the result is normal (test/kernels/swiglu.test.ts holds it to that). 0 below −104, +∞ from 88.73 on, NaN
// for NaN.

// For n = rint(x log₂e) of an x that leaves 2ⁿ in bounds.
QUIPU_INLINE f32x16 expWith(f32x16 x, f32x16 n) {
  f32x16 r = fma(negate(n), broadcast(0x1.62e43p-1f), x);
  r = fma(negate(n), broadcast(-0x1.05c61p-29f), r);
  f32x16 p = broadcast(0x1.a151bcp-13f);
  p = fma(p, r, broadcast(0x1.6d4366p-10f));
  p = fma(p, r, broadcast(0x1.1110c6p-7f));
  p = fma(p, r, broadcast(0x1.5554e8p-5f));
  p = fma(p, r, broadcast(0x1.555556p-3f));
  p = fma(p, r, broadcast(0.5f));
  p = fma(p, r, broadcast(1.0f));
  p = fma(p, r, broadcast(1.0f));
  return scaleByPowerOfTwo(p, n);
}

QUIPU_INLINE f32x16 exp(f32x16 x) {
  const m16 nan = isNan(x);
  // Beyond these the result is 0 or +∞ by rounding; the bounds keep n small enough for 2ⁿ.
  const f32x16 bounded = max(min(select(nan, zero(), x), broadcast(89.0f)), broadcast(-105.0f));
  const f32x16 power = expWith(bounded, rint(mul(bounded, broadcast(0x1.715476p+0f))));
  const f32x16 result = select(less(x, broadcast(-104.0f)), zero(), power);
  return select(nan, x, result);
}

// The same for x ≤ 0, in two thirds of the time: what is bounded rounds to 0. NaN stays NaN.
QUIPU_INLINE f32x16 expOfDifference(f32x16 x) {
  const f32x16 bounded = max(broadcast(-105.0f), x);
  return expWith(bounded, rint(mul(bounded, broadcast(0x1.715476p+0f))));
}

// The same, but NaN counts as −∞.
QUIPU_INLINE f32x16 expOfNegative(f32x16 x) {
  const f32x16 bounded = max(x, broadcast(-105.0f));
  return expWith(bounded, rint(mul(bounded, broadcast(0x1.715476p+0f))));
}

// Activations as codes of −127 … 127 and one scale for some of them (docs/numerics.md, products by q8, q6 and q4, and
// the queries of an i8 cache): the greatest of them counts as 127.

struct ActivationScale {
  f32x16 inverse;  // 127 / greatest
  float scale;     // greatest / 127; NaN where one is NaN or infinite
  bool tiny;       // all count as 0

  f32x16 codes(f32x16 x) const { return tiny ? zero() : rint(mul(x, inverse)); }
};

// What they are scaled by follows from their magnitudes.
struct Magnitudes {
  f32x16 greatest = zero();
  m16 finite = firstLanes(16);

  void add(f32x16 x) {
    const f32x16 magnitude = abs(x);
    finite = both(finite, lessEqual(magnitude, broadcast(0x1.fffffep127f)));
    greatest = max(magnitude, greatest);
  }

  ActivationScale scale() const {
    const bool isFinite = bits(finite) == 0xffff;
    const float most = isFinite ? maximum(greatest) : 0.0f;
    const bool tiny = most < 0x1p-100f;  // 127 / most would leave f32
    return {broadcast(tiny ? 0.0f : 127.0f / most), !isFinite ? __builtin_nanf("") : tiny ? 0.0f : most / 127.0f, tiny};
  }
};

// q8 and q6: a code times a scale. What is tried for a block: docs/numerics.md.

// What a scale comes to over a block: the sum of squared differences, and the sums that the best scale for the same
// codes follows from.
struct ScaleTrial {
  f32x16 error, products, squares;
};

QUIPU_INLINE f32x16 scaledCode(f32x16 x, f32x16 inverse, f32x16 least, f32x16 most) {
  return min(max(rint(mul(x, inverse)), least), most);
}

QUIPU_INLINE ScaleTrial tryScale(const WeightSpan& span, size_t first, size_t count, f32x16 scale, float half) {
  const f32x16 inverse = inverseOf(scale), least = broadcast(-half), most = broadcast(half - 1);
  ScaleTrial trial = {zero(), zero(), zero()};
  for (size_t k = first; k < first + count; ++k) {
    const f32x16 x = span.lanes(k), code = scaledCode(x, inverse, least, most);
    const f32x16 off = sub(mul(scale, code), x);
    trial.error = fma(off, off, trial.error);
    trial.products = fma(x, code, trial.products);
    trial.squares = fma(code, code, trial.squares);
  }
  return trial;
}

// The scales of a block of `count` k from `first` on, for codes of −half … half − 1. Adds to `wrong` the rows whose
// weights are too large for one.
static f32x16 findScales(const WeightSpan& span, size_t first, size_t count, float half, float step, uint32_t& wrong) {
  f32x16 greatest = zero(), extreme = zero();
  for (size_t k = first; k < first + count; ++k) {
    const f32x16 x = span.lanes(k);
    const m16 larger = less(greatest, abs(x));
    greatest = select(larger, abs(x), greatest);
    extreme = select(larger, x, extreme);
  }
  f32x16 best = zero();
  ScaleTrial found = {broadcast(__builtin_inff()), zero(), zero()};
  for (int t = -3; t <= 5; ++t) {
    const f32x16 scale = asF16(div(extreme, broadcast(-(half + float(t) * step))));
    wrong |= notFinite(scale);
    const ScaleTrial trial = tryScale(span, first, count, scale, half);
    const m16 better = less(trial.error, found.error);
    best = select(better, scale, best);
    found.error = select(better, trial.error, found.error);
    found.products = select(better, trial.products, found.products);
    found.squares = select(better, trial.squares, found.squares);
  }
  const f32x16 refitted = asF16(mul(found.products, inverseOf(found.squares)));
  const ScaleTrial again = tryScale(span, first, count, refitted, half);
  return select(less(again.error, found.error), refitted, best);
}

// Stores codes of k … k + 3 of every row, [i][row], side by side by row.
QUIPU_INLINE void storeFour(const f32x16 (&codes)[4], int8_t* to) {
  int8_t lanes[4][16];
  for (int i = 0; i < 4; ++i) narrowI8(lanes[i], codes[i]);
  for (int r = 0; r < 16; ++r) {
    for (int i = 0; i < 4; ++i) to[4 * r + i] = lanes[i][r];
  }
}

// Returns the rows that no scale of f16 is large enough for.
static uint32_t packScaled(const WeightSpan& span, size_t count, std::byte* block, DType dtype) {
  const bool isQ6 = dtype == DType::kQ6;
  const float half = isQ6 ? 32 : 128;
  uint32_t wrong = 0;
  for (size_t first = 0; first < count; first += kQ8Block, block += scaledBlockBytes(dtype)) {
    const size_t n = count - first < kQ8Block ? count - first : kQ8Block;
    const f32x16 scale = findScales(span, first, n, half, isQ6 ? 0.5f : 1.0f, wrong), inverse = inverseOf(scale);
    std::byte unpacked[kQ8BlockBytes];
    for (size_t k = 0; k < kQ8Block; k += 4) {
      f32x16 codes[4];
      for (size_t i = 0; i < 4; ++i) {
        codes[i] =
            k + i < n ? scaledCode(span.lanes(first + k + i), inverse, broadcast(-half), broadcast(half - 1)) : zero();
      }
      storeFour(codes, reinterpret_cast<int8_t*>(unpacked) + k * kGroupRows);
    }
    narrowF16(reinterpret_cast<uint16_t*>(unpacked + kQ8Codes), scale);
    if (isQ6) {
      q6Pack(unpacked, block);
    } else {
      __builtin_memcpy(block, unpacked, kQ8BlockBytes);
    }
  }
  return wrong;
}

// q4: a code times a scale, less a minimum. What is tried for a superblock: docs/numerics.md.

static constexpr int kQ4Blocks = 8;      // of a superblock
static constexpr int kQ4Rounds = 3;      // of new super-scales
static constexpr float kQ4Most = 63.0f;  // of the numbers that scales and minimums are kept as
// Candidates whose sums are made in one pass over the weights: one by itself would wait for its additions.
static constexpr int kQ4AtOnce = kWideRegisters >= 32 ? 3 : 1;

// What a block has: its scale and its minimum in whole numbers, and what they come to.
struct Q4Choice {
  f32x16 scale, minimum, error;
};

// How weights become codes, and what codes are.
struct Q4Code {
  f32x16 scale, minimum, inverse, shift;  // inverse: 1 / scale, shift: minimum / scale
};

QUIPU_INLINE Q4Code q4CodeFor(f32x16 scale, f32x16 minimum) {
  const f32x16 inverse = inverseOf(scale);
  return {scale, minimum, inverse, mul(minimum, inverse)};
}

QUIPU_INLINE f32x16 q4Code(f32x16 x, const Q4Code& as) {
  return min(max(rint(fma(x, as.inverse, as.shift)), zero()), broadcast(15.0f));
}

QUIPU_INLINE f32x16 bounded(f32x16 v) { return min(max(rint(v), zero()), broadcast(kQ4Most)); }

// The k of a block.
struct Q4Range {
  size_t first, end;
};

// Tries N pairs, in their order; the first of the best stays.
template <int N>
QUIPU_INLINE void tryPairs(const WeightSpan& span, Q4Range range, f32x16 superScale, f32x16 superMinimum,
                           const f32x16 (&scales)[N], const f32x16 (&minimums)[N], Q4Choice& best) {
  Q4Code as[N];
  f32x16 errors[N];
#pragma GCC unroll 4
  for (int i = 0; i < N; ++i) {
    as[i] = q4CodeFor(mul(superScale, scales[i]), mul(superMinimum, minimums[i]));
    errors[i] = zero();
  }
  for (size_t k = range.first; k < range.end; ++k) {
    const f32x16 x = span.lanes(k);
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
      const f32x16 off = sub(fma(as[i].scale, q4Code(x, as[i]), negate(as[i].minimum)), x);
      errors[i] = fma(off, off, errors[i]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < N; ++i) {
    const m16 better = less(errors[i], best.error);
    best.scale = select(better, scales[i], best.scale);
    best.minimum = select(better, minimums[i], best.minimum);
    best.error = select(better, errors[i], best.error);
  }
}

// A superblock on its way: its blocks' least values (at most 0), spans and sums, and what was chosen for them.
struct Q4Work {
  const WeightSpan& span;
  size_t count;
  f32x16 least[kQ4Blocks], range[kQ4Blocks], sum[kQ4Blocks];

  size_t blocks() const { return (count + kQ4Block - 1) / kQ4Block; }
  Q4Range of(size_t block) const {
    const size_t first = block * kQ4Block;
    return {first, count - first < kQ4Block ? count : first + kQ4Block};
  }
};

struct Q4Found {
  f32x16 superScale, superMinimum, error;
  Q4Choice blocks[kQ4Blocks];
};

// A grid of pairs: how many steps the range that codes reach is short of the weights' at either end.
QUIPU_INLINE void findBlock(const Q4Work& work, size_t block, const Q4Found& found, Q4Choice& best) {
  const f32x16 inverseScale = inverseOf(found.superScale), inverseMinimum = inverseOf(found.superMinimum);
  const f32x16 steps = mul(work.range[block], inverseScale);
  best = {zero(), zero(), broadcast(__builtin_inff())};
  for (int below = -3; below <= 2; ++below) {
    const float low = 0.3f * float(below);
    for (int above = -3; above <= 2; above += kQ4AtOnce) {
      f32x16 scales[kQ4AtOnce], minimums[kQ4AtOnce];
      for (int i = 0; i < kQ4AtOnce; ++i) {
        const float levels = 15.0f + low + 0.3f * float(above + i);
        scales[i] = bounded(div(steps, broadcast(levels)));
        const f32x16 minimum = fma(broadcast(-low), mul(found.superScale, scales[i]), negate(work.least[block]));
        minimums[i] = bounded(mul(minimum, inverseMinimum));
      }
      tryPairs(work.span, work.of(block), found.superScale, found.superMinimum, scales, minimums, best);
    }
  }
}

// The nine pairs around one.
QUIPU_INLINE void findNear(const Q4Work& work, size_t block, const Q4Found& found, const Q4Choice& near,
                           Q4Choice& best) {
  best = {zero(), zero(), broadcast(__builtin_inff())};
  for (int u = -1; u <= 1; ++u) {
    const f32x16 scale = bounded(add(near.scale, broadcast(float(u))));
    for (int v = -1; v <= 1; v += kQ4AtOnce) {
      f32x16 scales[kQ4AtOnce], minimums[kQ4AtOnce];
      for (int i = 0; i < kQ4AtOnce; ++i) {
        scales[i] = scale;
        minimums[i] = bounded(add(near.minimum, broadcast(float(v + i))));
      }
      tryPairs(work.span, work.of(block), found.superScale, found.superMinimum, scales, minimums, best);
    }
  }
}

// The super-scales that are best for the codes, scales and minimums that were found, by least squares. Returns the rows
// that have such.
QUIPU_INLINE m16 refit(const Q4Work& work, const Q4Found& found, f32x16& superScale, f32x16& superMinimum) {
  f32x16 aa = zero(), ab = zero(), bb = zero(), xa = zero(), xb = zero();
  for (size_t block = 0; block < work.blocks(); ++block) {
    const Q4Choice& choice = found.blocks[block];
    const Q4Code as = q4CodeFor(mul(found.superScale, choice.scale), mul(found.superMinimum, choice.minimum));
    const Q4Range range = work.of(block);
    f32x16 codes = zero(), squares = zero(), products = zero();
    for (size_t k = range.first; k < range.end; ++k) {
      const f32x16 x = work.span.lanes(k), code = q4Code(x, as);
      codes = add(codes, code);
      squares = fma(code, code, squares);
      products = fma(x, code, products);
    }
    const f32x16 a = choice.scale, b = choice.minimum;
    aa = fma(mul(a, a), squares, aa);
    ab = fma(mul(a, b), codes, ab);
    bb = fma(mul(b, b), broadcast(float(range.end - range.first)), bb);
    xa = fma(a, products, xa);
    xb = fma(b, work.sum[block], xb);
  }
  // The least of Σ (d a c − e b − x)².
  const f32x16 determinant = sub(mul(aa, bb), mul(ab, ab));
  const m16 solvable = less(zero(), determinant);
  const f32x16 divisor = select(solvable, determinant, broadcast(1.0f));
  superScale = asF16(div(sub(mul(xa, bb), mul(xb, ab)), divisor));
  superMinimum = asF16(div(sub(mul(xa, ab), mul(xb, aa)), divisor));
  const m16 positive = both(less(zero(), superScale), lessEqual(zero(), superMinimum));
  const f32x16 most = broadcast(65504.0f);
  return both(both(solvable, positive), both(lessEqual(superScale, most), lessEqual(superMinimum, most)));
}

static void findSuper(const Q4Work& work, Q4Found& found) {
  f32x16 range = zero(), depth = zero();
  for (size_t block = 0; block < work.blocks(); ++block) {
    range = max(work.range[block], range);
    depth = max(negate(work.least[block]), depth);
  }
  found.superScale = asF16(mul(range, broadcast(1.06f / (15.0f * kQ4Most))));
  found.superMinimum = asF16(mul(depth, broadcast(1.02f / kQ4Most)));
  found.error = zero();
  for (size_t block = 0; block < work.blocks(); ++block) {
    findBlock(work, block, found, found.blocks[block]);
    found.error = add(found.error, found.blocks[block].error);
  }
  for (int round = 0; round < kQ4Rounds; ++round) {
    Q4Found next;
    const m16 has = refit(work, found, next.superScale, next.superMinimum);
    next.error = zero();
    for (size_t block = 0; block < work.blocks(); ++block) {
      findNear(work, block, next, found.blocks[block], next.blocks[block]);
      next.error = add(next.error, next.blocks[block].error);
    }
    const m16 better = both(has, less(next.error, found.error));
    if (!any(better)) return;  // and never will be
    found.superScale = select(better, next.superScale, found.superScale);
    found.superMinimum = select(better, next.superMinimum, found.superMinimum);
    found.error = select(better, next.error, found.error);
    for (size_t block = 0; block < work.blocks(); ++block) {
      found.blocks[block].scale = select(better, next.blocks[block].scale, found.blocks[block].scale);
      found.blocks[block].minimum = select(better, next.blocks[block].minimum, found.blocks[block].minimum);
    }
  }
}

// Writes the codes, scales and minimums that were found.
static void writeSuper(const Q4Work& work, const Q4Found& found, const Q4Super& super) {
  __builtin_memset(super.codes, 0, super.pairs * (kQ4Codes + kQ4Side));
  narrowF16(super.heads(), found.superScale);
  narrowF16(super.heads() + kGroupRows, found.superMinimum);
  for (size_t block = 0; block < work.blocks(); ++block) {
    const Q4Choice& choice = found.blocks[block];
    uint8_t* side = super.side(block / 2);
    int8_t scales[16], minimums[16];
    narrowI8(scales, choice.scale);
    narrowI8(minimums, choice.minimum);
    for (size_t r = 0, half = block % 2; r < kGroupRows; ++r) {
      side[2 * r + half] = uint8_t((scales[r] & 15) | (minimums[r] & 15) << 4);
      side[32 + r] |= uint8_t((scales[r] >> 4 | minimums[r] >> 4 << 2) << (4 * half));
    }
    const Q4Code as = q4CodeFor(mul(found.superScale, choice.scale), mul(found.superMinimum, choice.minimum));
    const Q4Range range = work.of(block);
    for (size_t k = range.first; k < range.end; ++k) {
      int8_t codes[16];
      narrowI8(codes, q4Code(work.span.lanes(k), as));
      uint8_t* to = super.code(0, k / 4 * 4) + k % 4;
      for (size_t r = 0; r < kGroupRows; ++r) to[4 * r] |= uint8_t(codes[r] << (k % kQ4Block < 16 ? 0 : 4));
    }
  }
}

// Returns the rows whose weights are too large for f16.
static uint32_t packQ4(const WeightSpan& span, size_t count, const Q4Super& super) {
  Q4Work work = {span, count, {}, {}, {}};
  for (size_t block = 0; block < work.blocks(); ++block) {
    const Q4Range range = work.of(block);
    f32x16 least = zero(), greatest = zero(), sum = zero();
    for (size_t k = range.first; k < range.end; ++k) {
      const f32x16 x = span.lanes(k);
      least = min(x, least);
      greatest = max(x, greatest);
      sum = add(sum, x);
    }
    work.least[block] = least;
    work.range[block] = sub(greatest, least);
    work.sum[block] = sum;
  }
  Q4Found found;
  findSuper(work, found);
  if (const uint32_t wrong = notFinite(found.superScale) | notFinite(found.superMinimum); wrong != 0) return wrong;
  writeSuper(work, found, super);
  return 0;
}

// q4 (docs/numerics.md): a weight is a code of 0 … 15 times the scale of its 32, less their minimum; both are numbers
// of six bits times an f16 of their 256. How a matrix lies in memory here: groups of sixteen rows, in a group the
// superblocks of 256 k one after another, the last with as many pairs of 32 as it needs. In a superblock of p pairs:
//
//   p · 512 bytes   codes of a pair's first 32, then of its second: 64 bytes have k … k + 3 of every row in their lower
//                   halves and k + 16 … k + 19 in the upper ones (simd/scalar_nibbles.h)
//   p · 48          scales and minimums of a pair (scalesOf, minimumsOf)
//   64              the f16 that scales are multiplied by of each row, then that of minimums
//
// What lies beyond the matrix is 0.

static constexpr size_t kQ4Block = 32, kQ4Pair = 64, kQ4Super = 256;
static constexpr size_t kQ4Codes = kGroupRows * kQ4Pair / 2, kQ4Side = 48, kQ4Heads = kGroupRows * 4;  // bytes
static constexpr size_t kQ4SuperBytes = kQ4Super / kQ4Pair * (kQ4Codes + kQ4Side) + kQ4Heads;

QUIPU_INLINE size_t q4Pairs(size_t depth) { return (depth + kQ4Pair - 1) / kQ4Pair; }
QUIPU_INLINE size_t q4Supers(size_t depth) { return (depth + kQ4Super - 1) / kQ4Super; }

QUIPU_INLINE size_t q4GroupBytes(size_t depth) {
  return q4Pairs(depth) * (kQ4Codes + kQ4Side) + q4Supers(depth) * kQ4Heads;
}

// A superblock of a group.
struct Q4Super {
  uint8_t* codes;
  size_t pairs;

  uint8_t* side(size_t pair) const { return codes + pairs * kQ4Codes + pair * kQ4Side; }
  // f16 bits: [scale, minimum][row]
  uint16_t* heads() const { return reinterpret_cast<uint16_t*>(codes + pairs * (kQ4Codes + kQ4Side)); }
  // Where the four codes of a row are that begin at code k, a multiple of four; in the upper halves from 16 on of 32.
  uint8_t* code(size_t row, size_t k) const {
    return codes + k / kQ4Block * (kQ4Codes / 2) + k % 16 * kGroupRows + row * 4;
  }
};

QUIPU_INLINE Q4Super q4Super(const View& matrix, size_t group, size_t super) {
  const size_t depth = matrix.dims[1], left = q4Pairs(depth - super * kQ4Super);
  return {matrix.as<uint8_t>() + group * q4GroupBytes(depth) + super * kQ4SuperBytes, left < 4 ? left : 4};
}

QUIPU_INLINE f32x16 q4Scales(const Q4Super& super) { return widenF16(super.heads()); }
QUIPU_INLINE f32x16 q4Minimums(const Q4Super& super) { return widenF16(super.heads() + kGroupRows); }

// Row `row` of the matrix as numbers: scale · code − minimum, the products exact and the difference rounded once.
static void q4Row(const View& matrix, size_t row, float* to) {
  const size_t depth = matrix.dims[1], r = row % kGroupRows;
  for (size_t first = 0; first < depth; first += kQ4Super) {
    const Q4Super super = q4Super(matrix, row / kGroupRows, first / kQ4Super);
    float scales[kGroupRows], minimums[kGroupRows];
    store(scales, q4Scales(super));
    store(minimums, q4Minimums(super));
    const size_t count = depth - first < kQ4Super ? depth - first : kQ4Super;
    for (size_t k = 0; k < count; ++k) {
      const size_t half = k % kQ4Pair / kQ4Block;
      const uint8_t* side = super.side(k / kQ4Pair);
      const int low = side[2 * r + half], high = side[32 + r] >> (4 * half);
      const int scale = (low & 15) | (high & 3) << 4, minimum = low >> 4 | (high & 12) << 2;
      const int code = super.code(r, k / 4 * 4)[k % 4] >> (k % kQ4Block < 16 ? 0 : 4) & 15;
      to[first + k] = __builtin_fmaf(scales[r] * float(scale), float(code), -(minimums[r] * float(minimum)));
    }
  }
}

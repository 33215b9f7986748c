// q8 (docs/numerics.md): a weight is a code of −128 … 127 times the f16 scale of its 32. How a matrix lies in memory
// here: groups of sixteen rows, in a group the blocks of 32 k one after another, in a block the codes, four k of every
// row side by side (simd/scalar_dots.h), then the sixteen scales. What lies beyond the matrix is 0. So a group is one
// stream, and every load is of sixteen rows, for one row of activations as for many.

static constexpr size_t kGroupRows = 16, kQ8Block = 32;
static constexpr size_t kQ8Codes = kGroupRows * kQ8Block, kQ8BlockBytes = kQ8Codes + kGroupRows * 2;

QUIPU_INLINE size_t q8Blocks(size_t depth) { return (depth + kQ8Block - 1) / kQ8Block; }

// Where the four codes of a row are that begin at code k of the block, k a multiple of four.
QUIPU_INLINE size_t q8Codes(size_t row, size_t k) { return k * kGroupRows + row * 4; }

// The 32 values of a row of a block.
QUIPU_INLINE void q8Values(const std::byte* block, size_t row, float (&to)[kQ8Block]) {
  int8_t codes[kQ8Block];
  for (size_t k = 0; k < kQ8Block; k += 4) __builtin_memcpy(codes + k, block + q8Codes(row, k), 4);
  uint16_t scales[kGroupRows];
  __builtin_memcpy(scales, block + kQ8Codes, sizeof scales);
  float wide[kGroupRows];
  store(wide, widenF16(scales));
  for (size_t k = 0; k < kQ8Block; k += 16) store(to + k, mul(widenI8(codes + k), broadcast(wide[row])));
}

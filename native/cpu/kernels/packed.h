// What packed matrices of all formats have in common: groups of sixteen rows, and rows as numbers.

// Rows of activations up to which memory bounds a product.
static constexpr size_t kPackedFewRows = 16;
// Of the largest tasks, for few rows and for many, whose sums a task keeps in cache.
static constexpr size_t kPackedFewTaskBytes = 1 << 21, kPackedTaskBytes = 1 << 19, kPackedLastTaskBytes = 1 << 16;

// Bytes of a block of 32 of sixteen rows, of a format whose weights are codes times a scale of their own.
QUIPU_INLINE size_t scaledBlockBytes(DType dtype) { return dtype == DType::kQ6 ? kQ6BlockBytes : kQ8BlockBytes; }

QUIPU_INLINE std::byte* scaledGroup(const View& matrix, size_t group) {
  return matrix.as<std::byte>() + group * q8Blocks(matrix.dims[1]) * scaledBlockBytes(matrix.dtype);
}

QUIPU_INLINE bool isScaled(DType dtype) { return dtype == DType::kQ8 || dtype == DType::kQ6; }
QUIPU_INLINE bool isPacked(DType dtype) { return isScaled(dtype) || dtype == DType::kQ4; }

// Row `row` of a matrix of q8 or q6.
static void scaledRow(const View& matrix, size_t row, float* to) {
  const size_t depth = matrix.dims[1];
  const std::byte* block = scaledGroup(matrix, row / kGroupRows);
  for (size_t k = 0; k < depth; k += kQ8Block, block += scaledBlockBytes(matrix.dtype)) {
    std::byte unpacked[kQ8BlockBytes];
    if (matrix.dtype == DType::kQ6) q6Unpack(block, unpacked);
    float values[kQ8Block];
    q8Values(matrix.dtype == DType::kQ6 ? unpacked : block, row % kGroupRows, values);
    if (depth - k >= kRotated) rotateBack(values);
    __builtin_memcpy(to + k, values, (depth - k < kQ8Block ? depth - k : kQ8Block) * sizeof(float));
  }
}

// Row `row` of a packed matrix as numbers.
static void packedRow(const View& matrix, size_t row, float* to) {
  if (matrix.dtype == DType::kQ4) return q4Row(matrix, row, to);
  scaledRow(matrix, row, to);
}

constexpr size_t linesOf(size_t bytes) { return (bytes + 63) / 64; }

// Fetches lines [first, last) of so many bytes. All of them, where that may be, in a loop that is unrolled: with bounds
// that are computed, one row of activations takes a third longer by a matrix of q8 in L2.
template <size_t kBytes, bool kMaybeAll>
QUIPU_INLINE void fetchLines(const void* bytes, size_t first, size_t last) {
  const auto* from = static_cast<const std::byte*>(bytes);
  if constexpr (kMaybeAll) {
    if (last - first == linesOf(kBytes)) {
#pragma GCC unroll 64
      for (size_t line = 0; line < linesOf(kBytes); ++line) __builtin_prefetch(from + line * 64, 0, 3);
      return;
    }
  }
  for (size_t line = first; line < last; ++line) __builtin_prefetch(from + line * 64, 0, 3);
}

QUIPU_INLINE Shares packedShares(size_t rows, const View& matrix, uint32_t threads) {
  const auto groupBytes = static_cast<size_t>(bytesOf(matrix.dtype, kGroupRows, matrix.dims[1]));
  return sharesOf(matrix.dims[0], kGroupRows, groupBytes, kPackedLastTaskBytes,
                  rows <= kPackedFewRows ? kPackedFewTaskBytes : kPackedTaskBytes, threads);
}

// q6 (docs/numerics.md): a weight is a code of −32 … 31 times the f16 scale of its 32. A matrix lies in memory here as
// one of q8 (q8.h), but for the codes of a block. They are kept as whole numbers of 0 … 63, 32 more than they are, so
// that what lies beyond the matrix is 32:
//
//   256 bytes   the lower four bits: 64 bytes have k … k + 3 of every row in their lower halves and k + 16 … k + 19
//               in the upper ones
//   128         the upper two: 64 bytes have those of k … k + 15, then of k + 16 …; from bit 0 the first four k,
//               from bit 2 the next
//   32          the scales
//
// For few rows of activations codes are taken as they lie, for many a run of blocks is unpacked first, to a byte a
// code.

static constexpr size_t kQ6High = kQ8Codes / 2, kQ6Scales = kQ6High + kQ8Codes / 4;
static constexpr size_t kQ6BlockBytes = kQ6Scales + kGroupRows * 2;

// k … k + 3 of sixteen rows, k = 4 · line.
QUIPU_INLINE ucodes16 q6Codes(const std::byte* block, size_t line) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(block);
  const uint8_t* low = bytes + line % 4 * 64;
  return sixBits(line < 4 ? lowNibbles(low) : highNibbles(low), bytes + kQ6High + line / 4 * 64, int(line % 4));
}

// A block with a byte a code, four k of every row side by side as q8 has them, and the scales.
QUIPU_INLINE void q6Bytes(const std::byte* block, std::byte* to) {
#pragma GCC unroll 8
  for (size_t line = 0; line < 8; ++line) store(reinterpret_cast<uint8_t*>(to) + line * 64, q6Codes(block, line));
  __builtin_memcpy(to + kQ8Codes, block + kQ6Scales, kGroupRows * 2);
}

// Codes of 32 of sixteen rows, as q8 has them, from and to the bits of a block.
QUIPU_INLINE void q6Unpack(const std::byte* block, std::byte* to) {
  q6Bytes(block, to);
  for (size_t at = 0; at < kQ8Codes; ++at) to[at] = std::byte(uint8_t(to[at]) - 32);
}

QUIPU_INLINE void q6Pack(const std::byte* codes, std::byte* block) {
  uint8_t bytes[kQ6Scales] = {};
  for (size_t at = 0; at < kQ8Codes; ++at) {
    const size_t line = at / 64, byte = at % 64;
    const auto code = static_cast<uint8_t>(static_cast<int8_t>(codes[at]) + 32);
    bytes[line % 4 * 64 + byte] |= static_cast<uint8_t>((code & 15) << (line < 4 ? 0 : 4));
    bytes[kQ6High + line / 4 * 64 + byte] |= static_cast<uint8_t>(code >> 4 << (2 * (line % 4)));
  }
  __builtin_memcpy(block, bytes, sizeof bytes);
  __builtin_memcpy(block + kQ6Scales, codes + kQ8Codes, kGroupRows * 2);
}

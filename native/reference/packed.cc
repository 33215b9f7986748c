// Packed matrices of the reference device: row after row, each in its sixteenth of the bytes of a group.
//
//   q8   a block of 32: the scale (f16), 32 codes
//   q6   a block of 32: the scale, 24 bytes of codes as whole numbers of 0 … 63, six bits each from the lowest on
//   q4   a superblock of 256: two f16, then for every 64 two scales and two minimums of six bits each, and 64 codes
//        of four
#include <cstring>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

size_t rowBytes(const Operand& matrix) {
  return static_cast<size_t>(bytesOf(matrix.dtype, 16, static_cast<uint32_t>(matrix.dims[1]))) / 16;
}

uint8_t* bytesAt(const Operand& matrix, size_t row, size_t column) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(matrix.data) + row * rowBytes(matrix);
  if (matrix.dtype == DType::kQ8) return bytes + column / 32 * 34;
  if (matrix.dtype == DType::kQ6) return bytes + column / 32 * 26;
  return bytes + column / 256 * 144;
}

unsigned bitsAt(const uint8_t* bytes, size_t bit, unsigned count) {
  unsigned value = 0;
  for (unsigned i = 0; i < count; ++i) value |= (bytes[(bit + i) / 8] >> ((bit + i) % 8) & 1u) << i;
  return value;
}

void setBits(uint8_t* bytes, size_t bit, unsigned count, unsigned value) {
  for (unsigned i = 0; i < count; ++i) {
    uint8_t& byte = bytes[(bit + i) / 8];
    const unsigned place = (bit + i) % 8;
    byte = static_cast<uint8_t>((byte & ~(1u << place)) | (value >> i & 1u) << place);
  }
}

double halfAt(const uint8_t* bytes) {
  uint16_t bits;
  memcpy(&bits, bytes, 2);
  return halfOf(bits);
}

void setHalf(uint8_t* bytes, float value) {
  const uint16_t bits = halfBits(value);
  memcpy(bytes, &bits, 2);
}

// Of a pair of blocks of a superblock: 35 bytes, scales and minimums first.
constexpr size_t kPairBits = 35 * 8;

}  // namespace

void rotateBlock(float (&block)[32], float by) {
  rotate<float>(block);
  for (float& x : block) x *= by;
}

double packedNumber(const Operand& matrix, size_t index) {
  const size_t row = index / matrix.dims[1], column = index % matrix.dims[1];
  const uint8_t* bytes = bytesAt(matrix, row, column);
  if (matrix.dtype != DType::kQ4) {
    float block[32];
    for (size_t i = 0; i < 32; ++i) {
      const int code = matrix.dtype == DType::kQ8 ? static_cast<int8_t>(bytes[2 + i])
                                                  : static_cast<int>(bitsAt(bytes + 2, i * 6, 6)) - 32;
      block[i] = static_cast<float>(halfAt(bytes) * code);
    }
    if (column / 32 * 32 + 32 <= matrix.dims[1]) rotateBlock(block, 0.125f);
    return block[column % 32];
  }
  const size_t pair = column % 256 / 64 * kPairBits, half = column % 64 / 32;
  const double scale = halfAt(bytes) * bitsAt(bytes + 4, pair + half * 6, 6);
  const double minimum = halfAt(bytes + 2) * bitsAt(bytes + 4, pair + 12 + half * 6, 6);
  // Rounded as the CPU's fma is: the products are exact.
  return static_cast<float>(scale * bitsAt(bytes + 4, pair + 24 + column % 64 * 4, 4) - minimum);
}

void storePacked(const Operand& matrix, size_t row, size_t first, const ScaledBlock& block) {
  uint8_t* bytes = bytesAt(matrix, row, first);
  setHalf(bytes, block.scale);
  for (size_t i = 0; i < 32; ++i) {
    if (matrix.dtype == DType::kQ8) {
      bytes[2 + i] = static_cast<uint8_t>(block.codes[i]);
    } else {
      setBits(bytes + 2, i * 6, 6, static_cast<unsigned>(block.codes[i] + 32));
    }
  }
}

void storePacked(const Operand& matrix, size_t row, size_t first, const SuperBlock& block) {
  uint8_t* bytes = bytesAt(matrix, row, first);
  setHalf(bytes, block.scale);
  setHalf(bytes + 2, block.minimum);
  for (size_t i = 0; i < 256 && first + i < matrix.dims[1]; ++i) {
    const size_t pair = i / 64 * kPairBits, half = i % 64 / 32;
    setBits(bytes + 4, pair + half * 6, 6, block.scales[i / 32]);
    setBits(bytes + 4, pair + 12 + half * 6, 6, block.minimums[i / 32]);
    setBits(bytes + 4, pair + 24 + i % 64 * 4, 4, block.codes[i]);
  }
}

}  // namespace quipu::reference

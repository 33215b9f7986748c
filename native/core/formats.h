// The formats that tensors are stored in, and the bytes that they take. The table is made of src/device/formats.ts by
// scripts/op-table.js: here is the form of its rows, and after it the rows themselves, with the enum of their names.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quipu {

struct FormatRow {
  const char* name;
  // What is stored as a whole: so many rows of so many columns in so many bytes.
  uint32_t blockRows, blockColumns, blockBytes;
  // What the blocks of so many columns have in common beside them; 0: nothing.
  uint32_t sharedColumns, sharedBytes;
  uint32_t alignment;  // of the offset of a tensor
};

#include "core/formats.inc"

constexpr const FormatRow& formatOf(DType dtype) { return kFormatRows[static_cast<uint32_t>(dtype)]; }

constexpr const char* nameOf(DType dtype) { return formatOf(dtype).name; }

// Bytes of a matrix [rows, columns], whole blocks: exact. static, as kernels of every instruction set call it
// (cpu/inline.h).
static inline unsigned __int128 bytesOf(DType dtype, uint64_t rows, uint32_t columns) {
  const FormatRow& format = formatOf(dtype);
  const uint64_t high = rows / format.blockRows + (rows % format.blockRows != 0);
  const auto parts = [columns](uint32_t of) -> uint64_t { return columns / of + (columns % of != 0); };
  const uint64_t shared = format.sharedColumns == 0 ? 0 : parts(format.sharedColumns) * format.sharedBytes;
  return static_cast<unsigned __int128>(high) * (parts(format.blockColumns) * format.blockBytes + shared);
}

// Bytes of a tensor, its last dim the columns and all dims before it the rows. What is 2⁶⁴ or more is at least 2⁶⁴.
static inline unsigned __int128 bytesOf(DType dtype, uint32_t rank, const uint32_t (&dims)[4]) {
  unsigned __int128 rows = 1;
  for (uint32_t d = 0; d + 1 < rank; ++d) rows *= dims[d];  // three 32-bit dims
  const uint32_t columns = rank == 0 ? 1 : dims[rank - 1];
  if (rows >> 64 == 0) return bytesOf(dtype, static_cast<uint64_t>(rows), columns);
  return columns == 0 ? 0 : static_cast<unsigned __int128>(1) << 64;
}

}  // namespace quipu

// How packed matrices lie in a GPU's memory: octets of eight rows, in an octet superblocks of 256 k one after another,
// the last one whole too. Lane l of a warp stands for row l / 4 of the octet and, in every block of 32 k, for
// eight of them, those that it has in two mma (product.h): with c = 2 · (l % 4) the k of c, c + 1, c + 8, c + 9, c +
// 16, c + 17, c + 24 and c + 25, called 0 … 7 here. Of a superblock come
//
//   q8   4 times 16 bytes of every lane   the codes of two blocks, a byte each
//   q6   2 times 16 bytes of every lane   the lower four bits of four blocks, as q4's codes; codes are whole numbers
//                                         of 0 … 63, 32 more than they are
//        16 bytes of every lane           the upper two: of blocks 2w and 2w + 1 in word w, from bit 0 and from bit 8
//                                         those of 0, 2, 4, 6, and 16 bits higher of 1, 3 …
//   q4   2 times 16 bytes of every lane   the codes of four blocks, a word each: 0, 2, 4, 6 from bit 0 on and
//                                         1, 3 … from bit 16 on
//
// and then 16 bytes of every row: of q8 and q6 the f16 scales of its eight blocks; of q4 the f16 that scales are
// multiples of, that of minimums, and of every two blocks 24 bits: their scales, then their minimums, of six bits each.
// What lies beyond the matrix counts as 0.
#pragma once

#include "cuda/kernels/elements.h"

namespace quipu::cuda {

constexpr uint32_t kOctet = 8, kSuper = 256, kSuperBlocks = 8;

__host__ __device__ constexpr bool isPacked(DType dtype) {
  return dtype == DType::kQ8 || dtype == DType::kQ6 || dtype == DType::kQ4;
}

// The k of a block of 32 that a lane has at place 0 … 7; and the lane of four, and the place, that k has.
__host__ __device__ constexpr uint32_t blockK(uint32_t lane, uint32_t place) {
  return lane % 4 * 2 + place % 2 + place / 2 * 8;
}
__host__ __device__ constexpr uint32_t laneOfK(uint32_t k) { return k % 8 / 2; }
__host__ __device__ constexpr uint32_t placeOfK(uint32_t k) { return k / 8 * 2 + k % 2; }

// Bytes of the codes of a superblock of an octet, before its scales.
__host__ __device__ constexpr uint32_t superCodes(DType dtype) {
  return dtype == DType::kQ8 ? 2048 : dtype == DType::kQ6 ? 1536 : 1024;
}
__host__ __device__ constexpr uint32_t superBytes(DType dtype) { return superCodes(dtype) + kOctet * 16; }
__host__ __device__ constexpr uint32_t supersOf(uint32_t depth) { return (depth + kSuper - 1) / kSuper; }
// Of a whole matrix.
__host__ __device__ constexpr size_t packedBytes(DType dtype, uint32_t rows, uint32_t depth) {
  return size_t((rows + kOctet - 1) / kOctet) * supersOf(depth) * superBytes(dtype);
}

// Bits of the 96 that are a q4 superblock's scales and minimums in a row, from `bit` on.
__device__ __forceinline__ uint32_t q4Bits(const uint4& side, uint32_t bit) {
  const uint32_t low = bit < 32 ? side.y : bit < 64 ? side.z : side.w, high = bit < 32 ? side.z : side.w;
  return uint32_t((uint64_t(high) << 32 | low) >> bit % 32);
}
__device__ __forceinline__ uint32_t q4ScaleOf(const uint4& side, uint32_t block) {
  return q4Bits(side, block / 2 * 24 + block % 2 * 6) & 63;
}
// Of blocks 2 · pair and 2 · pair + 1, six bits each.
__device__ __forceinline__ uint32_t q4Minimums(const uint4& side, uint32_t pair) {
  return q4Bits(side, pair * 24 + 12) & 0xFFF;
}

// The code of q4, or the lower bits of one of q6, at a place of a lane's word of a block.
__device__ __forceinline__ uint32_t nibbleOf(uint32_t word, uint32_t place) {
  return word >> (place % 2 * 16 + place / 2 * 4) & 15;
}

// Element k of row `row` before it is turned back: what codes and scales say.
__device__ __forceinline__ float codedElement(const View& matrix, uint32_t row, uint32_t k) {
  const uint32_t supers = supersOf(matrix.dims[1]), bytes = superBytes(matrix.dtype);
  const uint8_t* super = matrix.as<uint8_t>() + (size_t(row / kOctet) * supers + k / kSuper) * bytes;
  const uint32_t block = k % kSuper / 32, lane = row % kOctet * 4 + laneOfK(k % 32), at = placeOfK(k % 32);
  const uint8_t* side = super + superCodes(matrix.dtype) + row % kOctet * 16;
  if (matrix.dtype == DType::kQ4) {
    const uint32_t word = reinterpret_cast<const uint32_t*>(super)[(block / 4 * 32 + lane) * 4 + block % 4];
    const uint4 scales = *reinterpret_cast<const uint4*>(side);
    const float scale = halfToFloat(uint16_t(scales.x)) * float(q4ScaleOf(scales, block));
    const uint32_t least = q4Minimums(scales, block / 2) >> block % 2 * 6 & 63;
    const float minimum = halfToFloat(uint16_t(scales.x >> 16)) * float(least);
    return fmaf(scale, float(nibbleOf(word, at)), -minimum);
  }
  const float scale = halfToFloat(reinterpret_cast<const uint16_t*>(side)[block]);
  if (matrix.dtype == DType::kQ8) {
    const auto* codes = reinterpret_cast<const int8_t*>(super) + (block / 2 * 32 + lane) * 16 + block % 2 * 8;
    return scale * float(codes[at]);
  }
  const uint32_t word = reinterpret_cast<const uint32_t*>(super)[(block / 4 * 32 + lane) * 4 + block % 4];
  const uint32_t high = reinterpret_cast<const uint32_t*>(super + 1024)[lane * 4 + block / 2];
  const uint32_t upper = high >> (at % 2 * 16 + block % 2 * 8 + at / 2 * 2) & 3;
  return scale * (float(nibbleOf(word, at) | upper << 4) - 32.0f);
}

// Element k of row `row` as docs/numerics.md counts it. By all lanes of a warp that have the k of a block: of q8 and q6
// a whole one is turned back, the sums of the butterflies in their order.
__device__ __forceinline__ float packedElement(const View& matrix, uint32_t row, uint32_t k) {
  float x = codedElement(matrix, row, k);
  if (matrix.dtype == DType::kQ4 || k / 32 * 32 + 32 > matrix.dims[1]) return x;
#pragma unroll
  for (uint32_t apart = 1; apart < 32; apart *= 2) {
    const float other = __shfl_xor_sync(kEveryLane, x, int(apart));
    x = (k & apart) == 0 ? x + other : other - x;
  }
  return x * 0.125f;
}

}  // namespace quipu::cuda

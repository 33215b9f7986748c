// Packed matrices as the CPU has them (native/cpu/kernels/q8.h, q6.h, q4.h), laid out for a GPU (packed.h): the same
// codes and scales. A warp is a superblock of an octet.
#include "cuda/kernels/packed.h"
#include "cuda/kernels/repack.h"

namespace quipu::cuda {

namespace {

struct CpuMatrix {
  const uint8_t* data;
  uint32_t depth;

  __device__ uint32_t blocks() const { return (depth + 31) / 32; }
  __device__ uint32_t pairs() const { return (depth + 63) / 64; }
  // Block `block` of 32 of the sixteen rows that `row` is in.
  __device__ const uint8_t* scaled(uint32_t row, uint32_t block, uint32_t bytes) const {
    return data + (size_t(row / 16) * blocks() + block) * bytes;
  }
  __device__ const uint8_t* super(uint32_t row, uint32_t super) const {
    return data + size_t(row / 16) * (size_t(pairs()) * 560 + size_t(supersOf(depth)) * 64) + size_t(super) * 2304;
  }
  __device__ uint32_t pairsOf(uint32_t super) const {
    const uint32_t left = pairs() - super * 4;
    return left < 4 ? left : 4;
  }
};

__device__ uint16_t wordAt(const uint8_t* bytes) { return uint16_t(bytes[0] | bytes[1] << 8); }

// The code of a row at k of a block, as it is kept: of q8 a byte, of q6 0 … 63.
__device__ uint32_t q8Code(const CpuMatrix& from, uint32_t row, uint32_t block, uint32_t k) {
  return block < from.blocks() ? from.scaled(row, block, 544)[k / 4 * 64 + row % 16 * 4 + k % 4] : 0;
}

__device__ uint32_t q6Code(const CpuMatrix& from, uint32_t row, uint32_t block, uint32_t k) {
  if (block >= from.blocks()) return 32;
  const uint8_t* bytes = from.scaled(row, block, 416);
  const uint32_t line = k / 4, at = row % 16 * 4 + k % 4;
  const uint32_t low = bytes[line % 4 * 64 + at] >> (line < 4 ? 0 : 4) & 15;
  return low | (bytes[256 + line / 4 * 64 + at] >> (2 * (line % 4)) & 3u) << 4;
}

__device__ uint32_t q4Code(const CpuMatrix& from, uint32_t row, uint32_t super, uint32_t block, uint32_t k) {
  if (block / 2 >= from.pairsOf(super)) return 0;
  const uint8_t* codes = from.super(row, super) + block * 256;
  return codes[k / 4 * 4 % 16 * 16 + row % 16 * 4 + k % 4] >> (k < 16 ? 0 : 4) & 15u;
}

// Six bits of scale, and from bit 12 on six of minimum, of a block of q4.
__device__ uint32_t q4SideOf(const CpuMatrix& from, uint32_t row, uint32_t super, uint32_t block) {
  const uint32_t pairs = from.pairsOf(super), half = block % 2, r = row % 16;
  if (block / 2 >= pairs) return 0;
  const uint8_t* side = from.super(row, super) + pairs * 512 + block / 2 * 48;
  const uint32_t low = side[2 * r + half], high = side[32 + r] >> (4 * half);
  return (low & 15) | (high & 3) << 4 | (low >> 4 | (high & 12) << 2) << 12;
}

// Eight codes of four bits, as packed.h has them in a word.
template <typename CodeAt>
__device__ uint32_t nibbles(CodeAt codeAt) {
  uint32_t word = 0;
  for (uint32_t at = 0; at < 8; ++at) word |= (codeAt(at) & 15) << (at % 2 * 16 + at / 2 * 4);
  return word;
}

template <DType kType>
__global__ void repackKernel(CpuMatrix from, uint32_t rows, std::byte* to) {
  const uint32_t super = blockIdx.x, lane = threadIdx.x, row = blockIdx.y * kOctet + lane / 4;
  std::byte* out = to + (size_t(blockIdx.y) * supersOf(from.depth) + super) * superBytes(kType);
  auto* words = reinterpret_cast<uint32_t*>(out);
  const bool there = row < (rows + 15) / 16 * 16;  // what the CPU has zeros for, too
  for (uint32_t block = 0; block < kSuperBlocks; ++block) {
    const uint32_t inMatrix = super * kSuperBlocks + block;
    if constexpr (kType == DType::kQ8) {
      for (uint32_t half = 0; half < 2; ++half) {
        uint32_t word = 0;
        for (uint32_t i = 0; i < 4; ++i) {
          word |= (there ? q8Code(from, row, inMatrix, blockK(lane, half * 4 + i)) : 0) << (8 * i);
        }
        words[(block / 2 * 32 + lane) * 4 + block % 2 * 2 + half] = word;
      }
    } else if constexpr (kType == DType::kQ6) {
      const auto codeAt = [&](uint32_t at) { return there ? q6Code(from, row, inMatrix, blockK(lane, at)) : 32; };
      words[(block / 4 * 32 + lane) * 4 + block % 4] = nibbles(codeAt);
      uint32_t upper = 0;
      for (uint32_t at = 0; at < 8; ++at) upper |= codeAt(at) >> 4 << (at % 2 * 16 + block % 2 * 8 + at / 2 * 2);
      uint32_t& word = words[256 + lane * 4 + block / 2];
      word = block % 2 == 0 ? upper : word | upper;
    } else {
      words[(block / 4 * 32 + lane) * 4 + block % 4] =
          nibbles([&](uint32_t at) { return there ? q4Code(from, row, super, block, blockK(lane, at)) : 0; });
    }
  }
  if (lane % 4 != 0) return;
  auto* side = reinterpret_cast<uint32_t*>(out + superCodes(kType) + lane / 4 * 16);
  side[0] = side[1] = side[2] = side[3] = 0;
  if (!there) return;
  if constexpr (kType == DType::kQ4) {
    const uint8_t* heads = from.super(row, super) + from.pairsOf(super) * 560 + row % 16 * 2;
    side[0] = wordAt(heads) | uint32_t(wordAt(heads + 32)) << 16;
    constexpr uint32_t kBits = 18;  // of q4SideOf
    for (uint32_t block = 0; block < kSuperBlocks; ++block) {
      const uint32_t bit = block / 2 * 24 + block % 2 * 6, word = 1 + bit / 32;
      const uint64_t bits = uint64_t(q4SideOf(from, row, super, block)) << bit % 32;
      side[word] |= uint32_t(bits);
      if (bit % 32 + kBits > 32) side[word + 1] |= uint32_t(bits >> 32);
    }
  } else {
    constexpr uint32_t kBytes = kType == DType::kQ8 ? 544 : 416, kScales = kBytes - 32;
    for (uint32_t block = 0; block < kSuperBlocks; ++block) {
      const uint32_t inMatrix = super * kSuperBlocks + block;
      if (inMatrix >= from.blocks()) break;
      const uint32_t scale = wordAt(from.scaled(row, inMatrix, kBytes) + kScales + row % 16 * 2);
      side[block / 2] |= scale << (block % 2 * 16);
    }
  }
}

}  // namespace

size_t repackedBytes(DType dtype, uint32_t rows, uint32_t depth) { return packedBytes(dtype, rows, depth); }

cudaError_t repack(DType dtype, const std::byte* from, uint32_t rows, uint32_t depth, std::byte* to,
                   cudaStream_t stream) {
  Launches launches(stream, {1, 0});
  const auto kernel = dtype == DType::kQ8   ? repackKernel<DType::kQ8>
                      : dtype == DType::kQ6 ? repackKernel<DType::kQ6>
                                            : repackKernel<DType::kQ4>;
  const CpuMatrix matrix = {reinterpret_cast<const uint8_t*>(from), depth};
  constexpr uint32_t kMostBlocks = 65535;  // of a grid's second dim
  const uint32_t octets = blocksOf(rows, kOctet), supers = supersOf(depth);
  for (uint32_t first = 0; first < octets; first += kMostBlocks / 2 * 2) {
    // Whole groups of sixteen rows, so that a part begins where the CPU's group does.
    const uint32_t count = octets - first < kMostBlocks / 2 * 2 ? octets - first : kMostBlocks / 2 * 2;
    CpuMatrix part = matrix;
    part.data += static_cast<size_t>(bytesOf(dtype, uint64_t(first) * kOctet, depth));
    launches(dim3(supers, count), kWarp, 0, kernel, part, rows - first * kOctet,
             to + size_t(first) * supers * superBytes(dtype));
  }
  return launches.error();
}

}  // namespace quipu::cuda

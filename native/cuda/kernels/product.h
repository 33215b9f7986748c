// Products of activations and weights on tensor cores: out[t, n] = Σ_k a[t, k] · b[n, k].
//
// Weights are on the side of 16 rows of mma.m16n8k16, activations on that of 8 columns, so that one token is as good as
// eight. The 16 rows are two octets of rows, from wherever the op wants them: lane l holds row l / 4 of each. In a
// block of 32 k its k are 8 · (l % 4) … + 7, which are 16 bytes of a row of bf16: of the first mma the lower four of
// every lane, of the second the upper four. An mma does not care which k its places are, as long as both sides have the
// same; so weights need no order of their own, and neither they nor activations go through ldmatrix.
//
// The order of a sum follows from K and the format alone (docs/numerics.md): K is cut in up to eight sections, one for
// each warp of a block, in which k ascends block by block; the sections are added in ascending order. By bf16 and f16 a
// section is one chain of mma. By q8 and q6 a block of 32 starts at 0 and is added times its scale, by q4 the sum of
// the activations times the minimum is taken off besides.
#pragma once

#include "cuda/kernels/packed.h"
#include "cuda/kernels/rows.h"

namespace quipu::cuda {

constexpr uint32_t kSections = kRowThreads / kWarp;

// K of a section: whole steps of `unit`.
__host__ __device__ constexpr uint32_t sectionOf(uint32_t depth, uint32_t unit) {
  return (depth + kSections * unit - 1) / (kSections * unit) * unit;
}

// What a lane knows of the two rows that it holds.
struct RowPair {
  const std::byte *low, *high;  // dense: the rows; packed: their octets
};

// The lane's narrow activations of a token at k.
struct TokenRow {
  const std::byte* row;  // null: zeros
  __device__ __forceinline__ uint4 at(uint32_t k) const {
    return row == nullptr ? uint4{0, 0, 0, 0} : *reinterpret_cast<const uint4*>(row + size_t(k) * 2);
  }
};

// bf16 and f16 as they lie in the checkpoint, rows of a multiple of 8 at multiples of 16 bytes.
template <bool kBf16>
struct DenseFormat {
  static constexpr Narrow kNarrow = kBf16 ? Narrow::kBf16 : Narrow::kHalf;
  static constexpr uint32_t kUnit = 32;    // k of a step
  static constexpr uint32_t kSection = 32;  // sections are multiples of it
  static constexpr uint32_t kAhead = 8;    // steps that are fetched

  struct Step {
    uint4 low, high;
  };
  struct Side {};

  static __device__ __forceinline__ Step load(const RowPair& rows, uint32_t k, uint32_t lane, uint32_t depth) {
    const uint32_t at = k + lane % 4 * 8;
    if (at >= depth) return {{0, 0, 0, 0}, {0, 0, 0, 0}};
    return {loadStreaming(rows.low + size_t(at) * 2), loadStreaming(rows.high + size_t(at) * 2)};
  }
  static __device__ __forceinline__ void loadSide(Side&, const RowPair&, uint32_t, uint32_t) {}
  template <int kTiles>
  static __device__ __forceinline__ void multiply(float (&sums)[kTiles][4], const Step& step, const Side&, uint32_t k,
                                                  const TokenRow (&tokens)[kTiles], uint32_t lane) {
    const uint32_t first[4] = {step.low.x, step.high.x, step.low.y, step.high.y};
    const uint32_t second[4] = {step.low.z, step.high.z, step.low.w, step.high.w};
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
      const uint4 b = tokens[tile].at(k + lane % 4 * 8);
      const uint32_t lower[2] = {b.x, b.y}, upper[2] = {b.z, b.w};
      if constexpr (kBf16) {
        mmaBf16(sums[tile], first, lower);
        mmaBf16(sums[tile], second, upper);
      } else {
        mmaHalf(sums[tile], first, lower);
        mmaHalf(sums[tile], second, upper);
      }
    }
  }
};

constexpr uint32_t kHalf1024 = 0x64006400;  // two of 1024, whose last bits count ones

// A block of codes by a block of activations, from 0, as two mma.
__device__ __forceinline__ void multiplyBlock(float (&block)[4], const uint32_t (&low)[4], const uint32_t (&high)[4],
                                              const uint4& b) {
  block[0] = block[1] = block[2] = block[3] = 0;
  const uint32_t first[4] = {low[0], high[0], low[1], high[1]}, second[4] = {low[2], high[2], low[3], high[3]};
  const uint32_t lower[2] = {b.x, b.y}, upper[2] = {b.z, b.w};
  mmaHalf(block, first, lower);
  mmaHalf(block, second, upper);
}

// Four bits each of eight codes as pairs of f16, 1024 and sixteen times more as it comes.
__device__ __forceinline__ void nibblePairs(uint32_t word, uint32_t (&pairs)[4]) {
  constexpr int kAndOr = (0xF0 & 0xCC) | 0xAA;
  const uint32_t upper = word >> 8;
  pairs[0] = lop3<kAndOr>(word, 0x000F000F, kHalf1024);
  pairs[1] = lop3<kAndOr>(word, 0x00F000F0, kHalf1024);
  pairs[2] = lop3<kAndOr>(upper, 0x000F000F, kHalf1024);
  pairs[3] = lop3<kAndOr>(upper, 0x00F000F0, kHalf1024);
}

struct Q8Format {
  static constexpr Narrow kNarrow = Narrow::kRotatedHalf;
  static constexpr uint32_t kUnit = 64, kSection = kSuper, kAhead = 8;

  struct Step {
    uint4 low, high;
  };
  struct Side {
    uint4 low, high;
  };

  static __device__ __forceinline__ Step load(const RowPair& rows, uint32_t k, uint32_t lane, uint32_t) {
    const size_t at = size_t(k / kSuper) * superBytes(DType::kQ8) + (k % kSuper / kUnit * 32 + lane) * 16;
    return {loadStreaming(rows.low + at), loadStreaming(rows.high + at)};
  }
  static __device__ __forceinline__ void loadSide(Side& side, const RowPair& rows, uint32_t k, uint32_t lane) {
    const size_t at = size_t(k / kSuper) * superBytes(DType::kQ8) + superCodes(DType::kQ8) + lane / 4 * 16;
    side = {loadStreaming(rows.low + at), loadStreaming(rows.high + at)};
  }
  static __device__ __forceinline__ float scaleOf(const uint4& scales, uint32_t block) {
    const uint32_t words[4] = {scales.x, scales.y, scales.z, scales.w};
    return halfToFloat(uint16_t(words[block / 2] >> (block % 2 * 16)));
  }
  // Four codes as two pairs: 1024 and 128 more than they are, taken off.
  static __device__ __forceinline__ void pairs(uint32_t codes, uint32_t& first, uint32_t& second) {
    const uint32_t raised = codes ^ 0x80808080;
    first = halfFma2(__byte_perm(raised, kHalf1024, 0x5150), 0x3C003C00, 0xE480E480);  // −1152
    second = halfFma2(__byte_perm(raised, kHalf1024, 0x5352), 0x3C003C00, 0xE480E480);
  }
  template <int kTiles>
  static __device__ __forceinline__ void multiply(float (&sums)[kTiles][4], const Step& step, const Side& side,
                                                  uint32_t k, const TokenRow (&tokens)[kTiles], uint32_t lane) {
#pragma unroll
    for (uint32_t half = 0; half < 2; ++half) {
      uint32_t low[4], high[4];
      pairs(half == 0 ? step.low.x : step.low.z, low[0], low[1]);
      pairs(half == 0 ? step.low.y : step.low.w, low[2], low[3]);
      pairs(half == 0 ? step.high.x : step.high.z, high[0], high[1]);
      pairs(half == 0 ? step.high.y : step.high.w, high[2], high[3]);
      const uint32_t block = k % kSuper / 32 + half;
      const float lowScale = scaleOf(side.low, block), highScale = scaleOf(side.high, block);
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        float s[4];
        multiplyBlock(s, low, high, tokens[tile].at(k + half * 32 + lane % 4 * 8));
        sums[tile][0] = fmaf(lowScale, s[0], sums[tile][0]);
        sums[tile][1] = fmaf(lowScale, s[1], sums[tile][1]);
        sums[tile][2] = fmaf(highScale, s[2], sums[tile][2]);
        sums[tile][3] = fmaf(highScale, s[3], sums[tile][3]);
      }
    }
  }
};

// q6 and q4: a step is four blocks.
template <bool kQ6>
struct NibbleFormat {
  static constexpr DType kType = kQ6 ? DType::kQ6 : DType::kQ4;
  static constexpr Narrow kNarrow = kQ6 ? Narrow::kRotatedHalf : Narrow::kHalf;
  static constexpr uint32_t kUnit = 128, kSection = kSuper, kAhead = kQ6 ? 2 : 4;

  struct Step {
    uint4 low, high;
    uint2 lowUpper, highUpper;  // of q6
  };
  struct Side {
    uint4 low, high;
  };

  static __device__ __forceinline__ Step load(const RowPair& rows, uint32_t k, uint32_t lane, uint32_t) {
    const size_t super = size_t(k / kSuper) * superBytes(kType), part = k % kSuper / kUnit;
    const size_t at = super + (part * 32 + lane) * 16;
    Step step = {loadStreaming(rows.low + at), loadStreaming(rows.high + at), {}, {}};
    if constexpr (kQ6) {
      const size_t upper = super + 1024 + lane * 16 + part * 8;
      step.lowUpper = *reinterpret_cast<const uint2*>(rows.low + upper);
      step.highUpper = *reinterpret_cast<const uint2*>(rows.high + upper);
    }
    return step;
  }
  static __device__ __forceinline__ void loadSide(Side& side, const RowPair& rows, uint32_t k, uint32_t lane) {
    const size_t at = size_t(k / kSuper) * superBytes(kType) + superCodes(kType) + lane / 4 * 16;
    side = {loadStreaming(rows.low + at), loadStreaming(rows.high + at)};
  }
  // Eight codes of a lane as pairs.
  static __device__ __forceinline__ void pairsOf(uint32_t word, uint32_t upper, uint32_t (&pairs)[4]) {
    constexpr uint32_t kOne = 0x3C003C00, kSixteenth = 0x2C002C00;
    if constexpr (kQ6) {
      uint32_t low[4];
      constexpr int kOr = 0xF0 | 0xCC | 0xAA;
      low[0] = word & 0x000F000F;
      low[1] = word >> 4 & 0x000F000F;
      low[2] = word >> 8 & 0x000F000F;
      low[3] = word >> 12 & 0x000F000F;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint32_t high = (upper >> (2 * i) & 0x00030003) << 4;
        pairs[i] = halfFma2(lop3<kOr>(low[i], high, kHalf1024), kOne, 0xE420E420);  // −1056
      }
    } else {
      nibblePairs(word, pairs);
      pairs[0] = halfFma2(pairs[0], kOne, 0xE400E400);  // −1024
      pairs[1] = halfFma2(pairs[1], kSixteenth, 0xD400D400);  // / 16 − 64
      pairs[2] = halfFma2(pairs[2], kOne, 0xE400E400);
      pairs[3] = halfFma2(pairs[3], kSixteenth, 0xD400D400);
    }
  }
  template <int kTiles>
  static __device__ __forceinline__ void multiply(float (&sums)[kTiles][4], const Step& step, const Side& side,
                                                  uint32_t k, const TokenRow (&tokens)[kTiles], uint32_t lane) {
    const uint32_t lowWords[4] = {step.low.x, step.low.y, step.low.z, step.low.w};
    const uint32_t highWords[4] = {step.high.x, step.high.y, step.high.z, step.high.w};
#pragma unroll
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t block = k % kSuper / 32 + i;
      uint32_t low[4], high[4];
      const uint32_t lowUpper = (i < 2 ? step.lowUpper.x : step.lowUpper.y) >> (i % 2 * 8);
      const uint32_t highUpper = (i < 2 ? step.highUpper.x : step.highUpper.y) >> (i % 2 * 8);
      pairsOf(lowWords[i], lowUpper, low);
      pairsOf(highWords[i], highUpper, high);
      float lowScale, highScale, lowMinimum = 0, highMinimum = 0;
      if constexpr (kQ6) {
        lowScale = Q8Format::scaleOf(side.low, block);
        highScale = Q8Format::scaleOf(side.high, block);
      } else {
        const uint32_t lowSide = q4Side(side.low, block), highSide = q4Side(side.high, block);
        lowScale = halfToFloat(uint16_t(side.low.x)) * float(lowSide & 63);
        highScale = halfToFloat(uint16_t(side.high.x)) * float(highSide & 63);
        lowMinimum = -halfToFloat(uint16_t(side.low.x >> 16)) * float(lowSide >> 6);
        highMinimum = -halfToFloat(uint16_t(side.high.x >> 16)) * float(highSide >> 6);
      }
#pragma unroll
      for (int tile = 0; tile < kTiles; ++tile) {
        const uint4 b = tokens[tile].at(k + i * 32 + lane % 4 * 8);
        float s[4];
        multiplyBlock(s, low, high, b);
        sums[tile][0] = fmaf(lowScale, s[0], sums[tile][0]);
        sums[tile][1] = fmaf(lowScale, s[1], sums[tile][1]);
        sums[tile][2] = fmaf(highScale, s[2], sums[tile][2]);
        sums[tile][3] = fmaf(highScale, s[3], sums[tile][3]);
        if constexpr (!kQ6) {
          // Σ of the block's activations, by a matrix of ones: the same lanes get the same tokens'.
          const uint32_t ones[4] = {0x3C003C00, 0x3C003C00, 0x3C003C00, 0x3C003C00};
          float total[4];
          multiplyBlock(total, ones, ones, b);
          sums[tile][0] = fmaf(lowMinimum, total[0], sums[tile][0]);
          sums[tile][1] = fmaf(lowMinimum, total[1], sums[tile][1]);
          sums[tile][2] = fmaf(highMinimum, total[2], sums[tile][2]);
          sums[tile][3] = fmaf(highMinimum, total[3], sums[tile][3]);
        }
      }
    }
  }
};

}  // namespace quipu::cuda

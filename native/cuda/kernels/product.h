// Products of activations and weights on tensor cores: out[t, n] = Σ_k a[t, k] · b[n, k].
//
// Weights are on the side of 16 rows of mma.m16n8k16, activations on that of 8 columns, so that one token is as good as
// eight. The 16 rows are two octets of rows, from wherever the op wants them. A block of 32 k is two mma, of sixteen
// each. Dense rows go through ldmatrix, which puts the words of an mma's fragment side by side; activations are kept
// as the lanes take them (rows.h), packed weights likewise (packed.h).
//
// The order of a sum follows from K and the format alone (docs/numerics.md): K is cut in up to eight sections, one for
// each warp of a block, in which k ascends block by block; the sections are added in ascending order. By f16 a section
// is one chain of mma. By q8 and q6 a block of 32 starts at 0 and is added times its scale, by q4 the sum of the
// activations times the minimum is taken off besides.
#pragma once

#include "cuda/kernels/packed.h"
#include "cuda/kernels/rows.h"

namespace quipu::cuda {

constexpr uint32_t kSections = kRowThreads / kWarp;

// K of a section: whole stages.
__host__ __device__ constexpr uint32_t sectionOf(uint32_t depth, uint32_t stage) {
  return (depth + kSections * stage - 1) / (kSections * stage) * stage;
}

// What a lane knows of the two rows that it holds.
struct RowPair {
  const std::byte *low, *high;  // dense: the rows; packed: their octets
};

// A stage is what a warp fetches at a time: kStage k of its two octets, kStageBytes in shared memory. multiply() adds
// what a step of it, of 32 k, gives with the lane's eight activations of a token.

// Where octet `octet` of 8 k of row `row` of eight stands in the 512 bytes of 32 k, so that neither what a warp copies
// there nor what ldmatrix reads meets in a bank.
__device__ __forceinline__ uint32_t swizzled(uint32_t row, uint32_t octet) {
  return row * 64 + (octet ^ (row / 2 & 3)) * 16;
}

// f16 as it lies in the checkpoint, or as bf16 was laid out (scaled_half.h), rows of a multiple of 8 at multiples of 16
// bytes.
struct DenseFormat {
  static constexpr bool kPacked = false;
  static constexpr Narrow kNarrow = Narrow::kHalf;
  static constexpr uint32_t kStage = 64, kSteps = kStage / 32, kStageBytes = kSteps * 2 * kWarp * 16;

  // [step][octet of rows], swizzled
  static __device__ __forceinline__ void copy(std::byte* stage, const RowPair& rows, uint32_t k, uint32_t lane,
                                              uint32_t depth) {
    std::byte* to = stage + swizzled(lane / 4, lane % 4);
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
      const uint32_t at = k + step * 32 + lane % 4 * 8;
      const bool there = at < depth;
      const size_t offset = there ? size_t(at) * 2 : 0;
      copyAsync16(to + (step * 2 + 0) * kWarp * 16, rows.low + offset, there);
      copyAsync16(to + (step * 2 + 1) * kWarp * 16, rows.high + offset, there);
    }
  }

  // Of a step of 32 k: what two mma take.
  struct Step {
    uint32_t first[4], second[4];
  };
  static __device__ __forceinline__ Step step(const std::byte* stage, uint32_t index, uint32_t lane) {
    const std::byte* rows = stage + (index * 2 + lane / 8 % 2) * kWarp * 16;
    Step step;
    ldmatrix4(step.first, rows + swizzled(lane % 8, lane / 16));
    ldmatrix4(step.second, rows + swizzled(lane % 8, lane / 16 + 2));
    return step;
  }
  static __device__ __forceinline__ void multiply(float (&sums)[4], const Step& step, const uint4& b) {
    const uint32_t lower[2] = {b.x, b.y}, upper[2] = {b.z, b.w};
    mmaHalf(sums, step.first, lower);
    mmaHalf(sums, step.second, upper);
  }
};

constexpr uint32_t kHalf1024 = 0x64006400;  // two of 1024, whose last bits count ones
constexpr uint32_t kHalfOne = 0x3C003C00;

// A block of codes by a block of activations, from 0, as two mma.
__device__ __forceinline__ void multiplyBlock(float (&block)[4], const uint32_t (&low)[4], const uint32_t (&high)[4],
                                              const uint4& b) {
  block[0] = block[1] = block[2] = block[3] = 0;
  const uint32_t first[4] = {low[0], high[0], low[1], high[1]}, second[4] = {low[2], high[2], low[3], high[3]};
  const uint32_t lower[2] = {b.x, b.y}, upper[2] = {b.z, b.w};
  mmaHalf(block, first, lower);
  mmaHalf(block, second, upper);
}

// sums += scale · block, of two rows.
__device__ __forceinline__ void addScaled(float (&sums)[4], const float (&block)[4], float low, float high) {
  sums[0] = fmaf(low, block[0], sums[0]);
  sums[1] = fmaf(low, block[1], sums[1]);
  sums[2] = fmaf(high, block[2], sums[2]);
  sums[3] = fmaf(high, block[3], sums[3]);
}

// A format of packed.h: a stage is a superblock of both octets, as it lies in memory.
template <DType kType>
struct PackedFormat {
  static constexpr bool kPacked = true;
  static constexpr Narrow kNarrow = kType == DType::kQ4 ? Narrow::kHalf : Narrow::kRotatedHalf;
  static constexpr uint32_t kStage = kSuper, kSteps = kSuperBlocks, kStageBytes = 2 * superBytes(kType);

  static __device__ __forceinline__ void copy(std::byte* stage, const RowPair& rows, uint32_t k, uint32_t lane,
                                              uint32_t) {
    constexpr uint32_t kPieces = superBytes(kType) / 16;
    const size_t from = size_t(k / kSuper) * superBytes(kType);
#pragma unroll
    for (uint32_t first = 0; first < kPieces; first += kWarp) {
      const uint32_t piece = first + lane;
      if (piece >= kPieces) break;
      copyAsync16(stage + piece * 16, rows.low + from + piece * 16, true);
      copyAsync16(stage + superBytes(kType) + piece * 16, rows.high + from + piece * 16, true);
    }
  }

  // A lane's codes of an octet's superblock, block after block: as pairs of f16.
  struct Codes {
    const std::byte* super;
    uint32_t lane;

    __device__ __forceinline__ uint4 piece(uint32_t at) const {
      return *reinterpret_cast<const uint4*>(super + (at * kWarp + lane) * 16);
    }
    __device__ __forceinline__ uint4 side() const {
      return *reinterpret_cast<const uint4*>(super + superCodes(kType) + lane / 4 * 16);
    }
  };

  static __device__ __forceinline__ uint32_t wordOf(const uint4& words, uint32_t at) {
    return at == 0 ? words.x : at == 1 ? words.y : at == 2 ? words.z : words.w;
  }
  // Four bytes of q8 as two pairs: raised by 128 they are whole numbers, and 1024 more as f16.
  static __device__ __forceinline__ void bytePairs(uint32_t codes, uint32_t& first, uint32_t& second) {
    const uint32_t raised = codes ^ 0x80808080;
    first = halfFma2(__byte_perm(raised, kHalf1024, 0x5150), kHalfOne, 0xE480E480);  // −1152
    second = halfFma2(__byte_perm(raised, kHalf1024, 0x5352), kHalfOne, 0xE480E480);
  }
  // Eight codes of q4: every second one comes sixteen times too large.
  static __device__ __forceinline__ void nibblePairs(uint32_t word, uint32_t (&pairs)[4]) {
    constexpr int kAndOr = (0xF0 & 0xCC) | 0xAA;
    constexpr uint32_t kSixteenth = 0x2C002C00;
    const uint32_t upper = word >> 8;
    pairs[0] = halfFma2(lop3<kAndOr>(word, 0x000F000F, kHalf1024), kHalfOne, 0xE400E400);    // −1024
    pairs[1] = halfFma2(lop3<kAndOr>(word, 0x00F000F0, kHalf1024), kSixteenth, 0xD400D400);  // / 16 − 64
    pairs[2] = halfFma2(lop3<kAndOr>(upper, 0x000F000F, kHalf1024), kHalfOne, 0xE400E400);
    pairs[3] = halfFma2(lop3<kAndOr>(upper, 0x00F000F0, kHalf1024), kSixteenth, 0xD400D400);
  }
  // Eight codes of q6, whose upper two bits are in `upper`.
  static __device__ __forceinline__ void sixPairs(uint32_t word, uint32_t upper, uint32_t (&pairs)[4]) {
    constexpr int kOr = 0xF0 | 0xCC | 0xAA;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const uint32_t low = word >> (4 * i) & 0x000F000F, high = (upper >> (2 * i) & 0x00030003) << 4;
      pairs[i] = halfFma2(lop3<kOr>(low, high, kHalf1024), kHalfOne, 0xE420E420);  // −1056
    }
  }

  static __device__ __forceinline__ float scaleOf(const uint4& scales, uint32_t block) {
    return halfToFloat(uint16_t(wordOf(scales, block / 2) >> (block % 2 * 16)));
  }

  // Of a block of 32 k: codes as pairs of f16 of the rows of both octets, and what their sums are multiplied by.
  struct Step {
    uint32_t low[4], high[4];
    float lowScale, highScale, lowMinimum, highMinimum;  // minimums of q4, negated
  };
  static __device__ __forceinline__ Step step(const std::byte* stage, uint32_t block, uint32_t lane) {
    const Codes lowCodes = {stage, lane}, highCodes = {stage + superBytes(kType), lane};
    const uint4 lowSide = lowCodes.side(), highSide = highCodes.side();
    constexpr uint32_t kPerPiece = kType == DType::kQ8 ? 2 : 4;
    const uint4 lowWords = lowCodes.piece(block / kPerPiece), highWords = highCodes.piece(block / kPerPiece);
    Step step = {};
    if constexpr (kType == DType::kQ8) {
      const uint32_t at = block % 2 * 2;
      bytePairs(wordOf(lowWords, at), step.low[0], step.low[1]);
      bytePairs(wordOf(lowWords, at + 1), step.low[2], step.low[3]);
      bytePairs(wordOf(highWords, at), step.high[0], step.high[1]);
      bytePairs(wordOf(highWords, at + 1), step.high[2], step.high[3]);
    } else if constexpr (kType == DType::kQ6) {
      const uint4 lowUpper = lowCodes.piece(2), highUpper = highCodes.piece(2);
      sixPairs(wordOf(lowWords, block % 4), wordOf(lowUpper, block / 2) >> (block % 2 * 8), step.low);
      sixPairs(wordOf(highWords, block % 4), wordOf(highUpper, block / 2) >> (block % 2 * 8), step.high);
    } else {
      nibblePairs(wordOf(lowWords, block % 4), step.low);
      nibblePairs(wordOf(highWords, block % 4), step.high);
    }
    if constexpr (kType == DType::kQ4) {
      const uint32_t ofLow = q4Side(lowSide, block), ofHigh = q4Side(highSide, block);
      step.lowScale = halfToFloat(uint16_t(lowSide.x)) * float(ofLow & 63);
      step.highScale = halfToFloat(uint16_t(highSide.x)) * float(ofHigh & 63);
      step.lowMinimum = -halfToFloat(uint16_t(lowSide.x >> 16)) * float(ofLow >> 6);
      step.highMinimum = -halfToFloat(uint16_t(highSide.x >> 16)) * float(ofHigh >> 6);
    } else {
      step.lowScale = scaleOf(lowSide, block);
      step.highScale = scaleOf(highSide, block);
    }
    return step;
  }
  static __device__ __forceinline__ void multiply(float (&sums)[4], const Step& step, const uint4& b) {
    float block[4];
    multiplyBlock(block, step.low, step.high, b);
    addScaled(sums, block, step.lowScale, step.highScale);
    if constexpr (kType == DType::kQ4) {
      // Σ of the block's activations, by a matrix of ones.
      const uint32_t ones[4] = {kHalfOne, kHalfOne, kHalfOne, kHalfOne};
      multiplyBlock(block, ones, ones, b);
      addScaled(sums, block, step.lowMinimum, step.highMinimum);
    }
  }
};

}  // namespace quipu::cuda

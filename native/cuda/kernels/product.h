// Products of activations and weights on tensor cores: out[t, n] = Σ_k a[t, k] · b[n, k].
//
// Weights are on the side of 16 rows of mma.m16n8k16, activations on that of 8 columns, so that one token is as good as
// eight. The 16 rows are two octets of rows, from wherever the op wants them. A block of 32 k is two mma, of sixteen
// each. Dense rows go through ldmatrix, which puts the words of an mma's fragment side by side; activations are kept
// as the lanes take them (rows.h), packed weights likewise (packed.h).
//
// The order of a sum follows from K and the format alone (docs/numerics.md): K is cut in up to eight sections, one for
// each warp of a block, in which k ascends block by block; the sections are added in ascending order. By f16 a section
// is one chain of mma. By q8 and q6 a block of 32 starts at 0 and is added times its scale. By q4 eight blocks do,
// whose codes are multiplied by their scales, whole numbers, before; the minimums times the sums of the blocks'
// activations, one mma, are taken off besides.
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

// A stage is what a warp fetches at a time: kStage k of its two octets, kStageBytes in shared memory. Side is what a
// lane knows of a whole stage, Codes what it loads at once, for kLoaded steps of 32 k; multiply() adds what a step
// gives with the lane's eight activations of a token. Where kSummed, steps are added up by themselves, and finish()
// adds a stage's to the sums, with the lane's sums of the token's blocks. copy<kOnce>(): no other block reads it.

// Where octet `octet` of 8 k of row `row` of eight stands in the 512 bytes of 32 k, so that neither what a warp copies
// there nor what ldmatrix reads meets in a bank.
__device__ __forceinline__ uint32_t swizzled(uint32_t row, uint32_t octet) {
  return row * 64 + (octet ^ (row / 2 & 3)) * 16;
}

// f16 as it lies in the checkpoint, or as bf16 was laid out (scaled_half.h), rows of a multiple of 8 at multiples of 16
// bytes.
struct DenseFormat {
  static constexpr bool kPacked = false, kSummed = false;
  static constexpr Narrow kNarrow = Narrow::kHalf;
  static constexpr uint32_t kStage = 64, kSteps = kStage / 32, kStageBytes = kSteps * 2 * kWarp * 16, kLoaded = 1;

  // [step][octet of rows], swizzled
  template <bool kOnce>
  static __device__ __forceinline__ void copy(std::byte* stage, const RowPair& rows, uint32_t k, uint32_t lane,
                                              uint32_t depth) {
    std::byte* to = stage + swizzled(lane / 4, lane % 4);
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
      const uint32_t at = k + step * 32 + lane % 4 * 8;
      const bool there = at < depth;
      const size_t offset = there ? size_t(at) * 2 : 0;
      copyAsync16<kOnce>(to + (step * 2 + 0) * kWarp * 16, rows.low + offset, there);
      copyAsync16<kOnce>(to + (step * 2 + 1) * kWarp * 16, rows.high + offset, there);
    }
  }

  struct Side {};
  static __device__ __forceinline__ Side side(const std::byte*, uint32_t) { return {}; }

  // Of a step of 32 k: what two mma take.
  struct Step {
    uint32_t first[4], second[4];
  };
  using Codes = Step;
  static __device__ __forceinline__ Codes codes(const std::byte* stage, uint32_t index, uint32_t lane) {
    const std::byte* rows = stage + (index * 2 + lane / 8 % 2) * kWarp * 16;
    Step step;
    ldmatrix4(step.first, rows + swizzled(lane % 8, lane / 16));
    ldmatrix4(step.second, rows + swizzled(lane % 8, lane / 16 + 2));
    return step;
  }
  static __device__ __forceinline__ Step step(const Codes& codes, const Side&, uint32_t) { return codes; }
  static __device__ __forceinline__ void multiply(float (&sums)[4], const Step& step, const uint4& b) {
    const uint32_t lower[2] = {b.x, b.y}, upper[2] = {b.z, b.w};
    mmaHalf(sums, step.first, lower);
    mmaHalf(sums, step.second, upper);
  }
};

constexpr uint32_t kHalf1024 = 0x64006400;  // two of 1024, whose last bits count ones
constexpr uint32_t kHalfOne = 0x3C003C00;

// A step of 32 k of both octets by the activations of a token, as two mma.
__device__ __forceinline__ void multiplyCodes(float (&sums)[4], const uint32_t (&low)[4], const uint32_t (&high)[4],
                                              const uint4& b) {
  const uint32_t first[4] = {low[0], high[0], low[1], high[1]}, second[4] = {low[2], high[2], low[3], high[3]};
  const uint32_t lower[2] = {b.x, b.y}, upper[2] = {b.z, b.w};
  mmaHalf(sums, first, lower);
  mmaHalf(sums, second, upper);
}

// sums += scale · part, of two rows.
__device__ __forceinline__ void addScaled(float (&sums)[4], const float (&part)[4], float low, float high) {
  sums[0] = fmaf(low, part[0], sums[0]);
  sums[1] = fmaf(low, part[1], sums[1]);
  sums[2] = fmaf(high, part[2], sums[2]);
  sums[3] = fmaf(high, part[3], sums[3]);
}

// Eight fields of a word, four bits each, as pairs of 1024 and as much more.
__device__ __forceinline__ void nibblePairs(uint32_t word, uint32_t (&pairs)[4]) {
  constexpr int kAndOr = (0xF0 & 0xCC) | 0xAA;
#pragma unroll
  for (int i = 0; i < 4; ++i) pairs[i] = lop3<kAndOr>(word >> (4 * i), 0x000F000F, kHalf1024);
}

// A format of packed.h: a stage is a superblock of both octets, as it lies in memory.
template <DType kType>
struct PackedFormat {
  static constexpr bool kPacked = true, kSummed = kType == DType::kQ4;
  static constexpr Narrow kNarrow = kSummed ? Narrow::kSummedHalf : Narrow::kRotatedHalf;
  static constexpr uint32_t kStage = kSuper, kSteps = kSuperBlocks, kStageBytes = 2 * superBytes(kType);
  static constexpr uint32_t kLoaded = kType == DType::kQ8 ? 2 : 4;

  template <bool kOnce>
  static __device__ __forceinline__ void copy(std::byte* stage, const RowPair& rows, uint32_t k, uint32_t lane,
                                              uint32_t) {
    constexpr uint32_t kPieces = superBytes(kType) / 16;
    const size_t from = size_t(k / kSuper) * superBytes(kType);
#pragma unroll
    for (uint32_t first = 0; first < kPieces; first += kWarp) {
      const uint32_t piece = first + lane;
      if (piece >= kPieces) break;
      copyAsync16<kOnce>(stage + piece * 16, rows.low + from + piece * 16, true);
      copyAsync16<kOnce>(stage + superBytes(kType) + piece * 16, rows.high + from + piece * 16, true);
    }
  }

  static __device__ __forceinline__ const std::byte* octet(const std::byte* stage, uint32_t half) {
    return stage + half * superBytes(kType);
  }
  // 16 bytes of a lane's codes of an octet.
  static __device__ __forceinline__ uint4 piece(const std::byte* octet, uint32_t at, uint32_t lane) {
    return *reinterpret_cast<const uint4*>(octet + (at * kWarp + lane) * 16);
  }
  static __device__ __forceinline__ uint32_t wordOf(const uint4& words, uint32_t at) {
    return at == 0 ? words.x : at == 1 ? words.y : at == 2 ? words.z : words.w;
  }

  // Of the lane's row of each octet its scales, and of q6 the lane's upper bits of all blocks.
  struct Side {
    uint4 low, high, lowUpper, highUpper;
  };
  static __device__ __forceinline__ Side side(const std::byte* stage, uint32_t lane) {
    const auto of = [&](uint32_t half) {
      return *reinterpret_cast<const uint4*>(octet(stage, half) + superCodes(kType) + lane / 4 * 16);
    };
    if constexpr (kType != DType::kQ6) return {of(0), of(1), {}, {}};
    return {of(0), of(1), piece(octet(stage, 0), 2, lane), piece(octet(stage, 1), 2, lane)};
  }

  struct Codes {
    uint4 low, high;
  };
  static __device__ __forceinline__ Codes codes(const std::byte* stage, uint32_t block, uint32_t lane) {
    return {piece(octet(stage, 0), block / kLoaded, lane), piece(octet(stage, 1), block / kLoaded, lane)};
  }

  // Four bytes of q8 as two pairs: raised by 128 they are whole numbers, and 1024 more as f16.
  static __device__ __forceinline__ void bytePairs(uint32_t codes, uint32_t& first, uint32_t& second) {
    const uint32_t raised = codes ^ 0x80808080;
    first = halfFma2(__byte_perm(raised, kHalf1024, 0x5150), kHalfOne, 0xE480E480);  // −1152
    second = halfFma2(__byte_perm(raised, kHalf1024, 0x5352), kHalfOne, 0xE480E480);
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
  // Eight codes of q4 times their scale of six bits: at most 945, exact.
  static __device__ __forceinline__ void scaledPairs(uint32_t word, uint32_t scale, uint32_t (&pairs)[4]) {
    const uint32_t both = halfFma2(scale * 0x10001 | kHalf1024, kHalfOne, 0xE400E400);  // −1024
    const uint32_t off = halfFma2(both, 0xE400E400, 0);                                 // −1024 scales
    nibblePairs(word, pairs);
#pragma unroll
    for (uint32_t& pair : pairs) pair = halfFma2(pair, both, off);
  }

  static __device__ __forceinline__ float scaleOf(const uint4& scales, uint32_t block) {
    return halfToFloat(uint16_t(wordOf(scales, block / 2) >> (block % 2 * 16)));
  }

  // Of a block of 32 k: pairs of f16 of the rows of both octets, and of q8 and q6 what their sums are multiplied by.
  struct Step {
    uint32_t low[4], high[4];
    float lowScale, highScale;
  };
  static __device__ __forceinline__ Step step(const Codes& codes, const Side& side, uint32_t block) {
    const uint32_t at = block % kLoaded;
    Step step = {};
    if constexpr (kType == DType::kQ8) {
      bytePairs(wordOf(codes.low, 2 * at), step.low[0], step.low[1]);
      bytePairs(wordOf(codes.low, 2 * at + 1), step.low[2], step.low[3]);
      bytePairs(wordOf(codes.high, 2 * at), step.high[0], step.high[1]);
      bytePairs(wordOf(codes.high, 2 * at + 1), step.high[2], step.high[3]);
    } else if constexpr (kType == DType::kQ6) {
      sixPairs(wordOf(codes.low, at), wordOf(side.lowUpper, block / 2) >> (block % 2 * 8), step.low);
      sixPairs(wordOf(codes.high, at), wordOf(side.highUpper, block / 2) >> (block % 2 * 8), step.high);
    } else {
      scaledPairs(wordOf(codes.low, at), q4ScaleOf(side.low, block), step.low);
      scaledPairs(wordOf(codes.high, at), q4ScaleOf(side.high, block), step.high);
    }
    if constexpr (!kSummed) {
      step.lowScale = scaleOf(side.low, block);
      step.highScale = scaleOf(side.high, block);
    }
    return step;
  }
  static __device__ __forceinline__ void multiply(float (&sums)[4], const Step& step, const uint4& b) {
    if constexpr (kSummed) {
      multiplyCodes(sums, step.low, step.high, b);
    } else {
      float block[4] = {};
      multiplyCodes(block, step.low, step.high, b);
      addScaled(sums, block, step.lowScale, step.highScale);
    }
  }

  // What the end of a superblock of q4 takes: d, and e negated and times what sums were divided by, of the lane's rows;
  // its minimums of two blocks as pairs of f16.
  struct End {
    float lowScale, highScale, lowMinimum, highMinimum;
    uint32_t low, high;
  };
  static __device__ __forceinline__ End end(const Side& side, uint32_t lane) {
    const auto pair = [&](const uint4& scales) {
      const uint32_t both = q4Minimums(scales, lane % 4);
      return halfFma2((both & 63) | both >> 6 << 16 | kHalf1024, kHalfOne, 0xE400E400);
    };
    return {halfToFloat(uint16_t(side.low.x)),
            halfToFloat(uint16_t(side.high.x)),
            -32 * halfToFloat(uint16_t(side.low.x >> 16)),
            -32 * halfToFloat(uint16_t(side.high.x >> 16)),
            pair(side.low),
            pair(side.high)};
  }
  static __device__ __forceinline__ void finish(float (&sums)[4], const float (&super)[4], const End& end,
                                                const uint2& blockSums) {
    const uint32_t minimums[4] = {end.low, end.high, end.low, end.high}, b[2] = {blockSums.x, blockSums.y};
    float least[4] = {};
    mmaHalf(least, minimums, b);
    addScaled(sums, super, end.lowScale, end.highScale);
    addScaled(sums, least, end.lowMinimum, end.highMinimum);
  }
};

}  // namespace quipu::cuda

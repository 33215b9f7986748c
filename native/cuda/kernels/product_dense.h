// Products of a prompt's rows by dense weights: what an Op is, product_kernel.h says.
//
// Bound by what tensor cores get through ldmatrix, then by L2. On an H100, 28,672 rows of 4,096 by 512 tokens: 345
// TFLOP/s, of which the copies alone would take 400 and the mma alone 440. Blocks of 128 rows by 128 tokens came to
// 304, of 256 by 64 to 270, of 256 by 128 with totals in shared memory to 260: two small blocks hide each other's
// barriers.
#pragma once

#include "cuda/kernels/product_rows.h"

namespace quipu::cuda {

// A block is two by two warps, each of 64 rows by 32 tokens.
struct DenseShape {
  static constexpr uint32_t kWarpTiles = 4, kWarpTokens = 32, kThreads = 4 * kWarp;
  static constexpr uint32_t kTiles = 2 * kWarpTiles, kRows = 16 * kTiles, kTokens = 2 * kWarpTokens;
  static constexpr uint32_t kStage = DenseFormat::kStage, kRowBytes = kStage * 2, kStages = 3;
  static constexpr uint32_t kWeightBytes = kRows * kRowBytes, kStageBytes = kWeightBytes + kTokens * kRowBytes;
  static constexpr size_t kBytes = size_t(kStages) * kStageBytes;
};

// Where octet `octet` of 8 k of a row of a stage stands in the row's 128 bytes: eight rows' are in as many banks.
__device__ __forceinline__ uint32_t stagePlace(uint32_t row, uint32_t octet) {
  return row * DenseShape::kRowBytes + (octet ^ row % 8) * 16;
}

// The same sums as productKernel's: a section's from 0, and added to those before.
template <typename Op>
__global__ __launch_bounds__(DenseShape::kThreads, 2) void denseKernel(Op op, const std::byte* narrow, uint32_t depth,
                                                                       uint32_t tokens, uint32_t tiles) {
  using Shape = DenseShape;
  constexpr uint32_t kTiles = Shape::kWarpTiles, kTokenTiles = Shape::kWarpTokens / 8, kWarps = Shape::kThreads / kWarp;
  constexpr uint32_t kRowsAtOnce = Shape::kThreads / 8, kRowCopies = Shape::kRows / kRowsAtOnce;
  constexpr uint32_t kTokenCopies = Shape::kTokens / (8 * kWarps), kTokenSteps = Shape::kStage / 32;
  DYNAMIC_SHARED(shared);
  const uint32_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const uint32_t section = sectionOf(depth, Shape::kStage);
  const size_t rowBytes = narrowBytes(depth);
  const uint32_t firstToken = blockIdx.x * Shape::kTokens, firstTile = blockIdx.y * Shape::kTiles;

  // Of weights eight threads copy a row, of activations a warp those of eight tokens, as they lie.
  const std::byte* rows[kRowCopies];
#pragma unroll
  for (uint32_t i = 0; i < kRowCopies; ++i) {
    const uint32_t row = i * kRowsAtOnce + threadIdx.x / 8, tile = firstTile + row / 16;
    const WeightRows octet = op.source(tile < tiles ? tile : tiles - 1, row / 8 % 2);
    rows[i] = octetOf<DenseFormat>(octet, row % 8 * 4) + threadIdx.x % 8 * 16;
  }
  const std::byte* tokenRows[kTokenCopies];
#pragma unroll
  for (uint32_t i = 0; i < kTokenCopies; ++i) {
    const uint32_t token = firstToken + (i * kWarps + warp) * 8 + lane / 4;
    tokenRows[i] = narrow + (token < tokens ? token : 0) * rowBytes + lane % 4 * 16;
  }
  const auto fetchRows = [&](uint32_t slot, uint32_t k) {
    const bool there = k + threadIdx.x % 8 * 8 < depth;
    std::byte* to = shared + slot * Shape::kStageBytes + stagePlace(threadIdx.x / 8, threadIdx.x % 8);
#pragma unroll
    for (uint32_t i = 0; i < kRowCopies; ++i) {
      copyAsync16(to + i * kRowsAtOnce * Shape::kRowBytes, there ? rows[i] + size_t(k) * 2 : rows[i], there);
    }
  };
  const auto fetchTokens = [&](uint32_t slot, uint32_t k) {
    std::byte* to = shared + slot * Shape::kStageBytes + Shape::kWeightBytes + lane * 16;
#pragma unroll
    for (uint32_t i = 0; i < kTokenCopies; ++i) {
#pragma unroll
      for (uint32_t step = 0; step < kTokenSteps; ++step) {
        copyAsync16(to + ((i * kWarps + warp) * kTokenSteps + step) * kWarp * 16,
                    tokenRows[i] + size_t(k + step * 32) * 2, true);
      }
    }
  };
  // Weights are there before the kernel before has ended; activations are not.
  for (uint32_t i = 0; i + 1 < Shape::kStages; ++i) {
    if (i * Shape::kStage < depth) fetchRows(i, i * Shape::kStage);
  }
  waitForPredecessor();
  letSuccessorStart();
  op.begin(firstToken, tokens);
  for (uint32_t i = 0; i + 1 < Shape::kStages; ++i) {
    if (i * Shape::kStage < depth) fetchTokens(i, i * Shape::kStage);
    copyAsyncCommit();
  }

  const uint32_t firstRow = warp / 2 * kTiles * 16, tokenTile = warp % 2 * kTokenTiles;
  const uint32_t ownRow = firstRow + lane % 16, ownOctet = lane / 16;
  float sums[kTiles][kTokenTiles][4] = {}, totals[kTiles][kTokenTiles][4];
  uint32_t slot = 0;
  for (uint32_t begin = 0; begin < depth; begin += section) {
    const uint32_t end = begin + section < depth ? begin + section : depth;
#pragma unroll 1
    for (uint32_t k = begin; k < end; k += Shape::kStage) {
      copyAsyncWait<Shape::kStages - 2>();
      __syncthreads();  // all parts are there, and the stage before is done with
      const std::byte* stage = shared + slot * Shape::kStageBytes;
      const auto* tokenWords = reinterpret_cast<const uint4*>(stage + Shape::kWeightBytes) + lane;
      uint32_t a[2][kTiles][4];  // of two sixteens of k, the next of which is on its way
#pragma unroll
      for (uint32_t i = 0; i < kTiles; ++i) {
        ldmatrix4(a[0][i], stage + i * 16 * Shape::kRowBytes + stagePlace(ownRow, ownOctet));
      }
      uint4 b[kTokenTiles];
#pragma unroll
      for (uint32_t t = 0; t < kTokenTiles; ++t) b[t] = tokenWords[(tokenTile + t) * kTokenSteps * kWarp];
      const uint32_t ahead = slot == 0 ? Shape::kStages - 1 : slot - 1;
      if (const uint32_t next = k + (Shape::kStages - 1) * Shape::kStage; next < depth) {
        fetchRows(ahead, next);
        fetchTokens(ahead, next);
      }
      copyAsyncCommit();
#pragma unroll
      for (uint32_t half = 0; half < kTokenSteps * 2; ++half) {
        if (half + 1 < kTokenSteps * 2) {
#pragma unroll
          for (uint32_t i = 0; i < kTiles; ++i) {
            ldmatrix4(a[(half + 1) % 2][i],
                      stage + i * 16 * Shape::kRowBytes + stagePlace(ownRow, (half + 1) * 2 + ownOctet));
          }
        }
#pragma unroll
        for (uint32_t t = 0; t < kTokenTiles; ++t) {
          const uint32_t pairs[2] = {half % 2 == 0 ? b[t].x : b[t].z, half % 2 == 0 ? b[t].y : b[t].w};
#pragma unroll
          for (uint32_t i = 0; i < kTiles; ++i) mmaHalf(sums[i][t], a[half % 2][i], pairs);
          if (half % 2 == 1 && half + 1 < kTokenSteps * 2) {
            b[t] = tokenWords[((tokenTile + t) * kTokenSteps + (half + 1) / 2) * kWarp];
          }
        }
      }
      slot = slot + 1 == Shape::kStages ? 0 : slot + 1;
    }
#pragma unroll
    for (uint32_t i = 0; i < kTiles * kTokenTiles * 4; ++i) {
      float& sum = sums[i / (kTokenTiles * 4)][i / 4 % kTokenTiles][i % 4];
      float& total = totals[i / (kTokenTiles * 4)][i / 4 % kTokenTiles][i % 4];
      total = begin == 0 ? sum : total + sum;
      sum = 0;
    }
  }

#pragma unroll
  for (uint32_t i = 0; i < kTiles; ++i) {
    const uint32_t tile = firstTile + firstRow / 16 + i, at = lane / 4;
    if (tile >= tiles) break;
    const float lowScale = op.source(tile, 0).scaleOf(at), highScale = op.source(tile, 1).scaleOf(at);
#pragma unroll
    for (uint32_t t = 0; t < kTokenTiles * 2; ++t) {
      const uint32_t column = t % 2, token = firstToken + (tokenTile + t / 2) * 8 + lane % 4 * 2 + column;
      if (token >= tokens) continue;
      const float scale = narrowScale(narrow + token * rowBytes, depth);
      const float low = totals[i][t / 2][column], high = totals[i][t / 2][2 + column];
      op.store(tile, at, token, low * scale * lowScale, high * scale * highScale);
    }
  }
}

}  // namespace quipu::cuda

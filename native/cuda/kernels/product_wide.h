// Products of a prompt's rows by packed weights: what an Op is, product_kernel.h says.
#pragma once

#include "cuda/kernels/product_rows.h"

namespace quipu::cuda {

// A block is a tile of rows a warp by 64 tokens, whose activations its warps share: of each stage those, then the sums
// of their blocks.
constexpr uint32_t kWideTokens = 64;

template <typename Format>
struct WideShape {
  static constexpr uint32_t kTokenBytes = Format::kSteps * (kWideTokens / 8) * kWarp * 16;
  static constexpr uint32_t kSumBytes = Format::kSummed ? kWideTokens * 32 : 0;
  static constexpr uint32_t kStageBytes = kSections * Format::kStageBytes + kTokenBytes + kSumBytes;
  static constexpr uint32_t kStages = kStageBytes * 3 <= 160 * 1024 ? 3 : 2;
  static constexpr size_t kBytes = size_t(kStages) * kStageBytes;
};

// The same sums as productKernel's: a section's from 0, and added to those before.
template <typename Format, typename Op>
__global__ __launch_bounds__(kRowThreads) void wideKernel(Op op, const std::byte* narrow, uint32_t depth,
                                                          uint32_t tokens, uint32_t tiles) {
  using Shape = WideShape<Format>;
  constexpr uint32_t kTokenTiles = kWideTokens / 8;
  DYNAMIC_SHARED(shared);
  const uint32_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const uint32_t section = sectionOf(depth, Format::kStage);
  const size_t rowBytes = narrowBytes(depth);
  const uint32_t firstToken = blockIdx.x * kWideTokens, ownTile = blockIdx.y * kSections + warp;
  const uint32_t tile = ownTile < tiles ? ownTile : tiles - 1;
  const RowPair rows = {octetOf<Format>(op.source(tile, 0), lane), octetOf<Format>(op.source(tile, 1), lane)};
  const auto fetch = [&](uint32_t slot, uint32_t k) {
    if (k < depth) {
      std::byte* stage = shared + slot * Shape::kStageBytes;
      Format::template copy<false>(stage + warp * Format::kStageBytes, rows, k, lane, depth);
      // A warp copies the activations of eight tokens.
      const uint32_t token = firstToken + warp * 8 + lane / 4;
      const std::byte* row = narrow + size_t(token < tokens ? token : 0) * rowBytes;
      std::byte* to = stage + kSections * Format::kStageBytes + (warp * Format::kSteps * kWarp + lane) * 16;
#pragma unroll
      for (uint32_t step = 0; step < Format::kSteps; ++step) {
        copyAsync16(to + step * kWarp * 16, row + size_t(k + step * 32 + lane % 4 * 8) * 2, token < tokens);
      }
      if (Format::kSummed && lane % 4 < 2) {
        copyAsync16(
            stage + kSections * Format::kStageBytes + Shape::kTokenBytes + (warp * 8 + lane / 4) * 32 + lane % 4 * 16,
            row + size_t(narrowWidth(depth)) * 2 + k / 8 + lane % 4 * 16, token < tokens);
      }
    }
    copyAsyncCommit();
  };
  waitForPredecessor();
  letSuccessorStart();
  op.begin(firstToken, tokens);
  for (uint32_t i = 0; i + 1 < Shape::kStages; ++i) fetch(i, i * Format::kStage);
  float sums[kTokenTiles][4] = {}, totals[kTokenTiles][4];
  uint32_t slot = 0;
  bool begun = false;
  for (uint32_t k = 0; k < depth; k += Format::kStage) {
    copyAsyncWait<Shape::kStages - 2>();
    __syncthreads();  // all warps' parts are there, and the stage before is done with
    fetch(slot == 0 ? Shape::kStages - 1 : slot - 1, k + (Shape::kStages - 1) * Format::kStage);
    const std::byte* stage = shared + slot * Shape::kStageBytes + warp * Format::kStageBytes;
    const std::byte* tokenStage = shared + slot * Shape::kStageBytes + kSections * Format::kStageBytes;
    const auto side = Format::side(stage, lane);
    float parts[Format::kSummed ? kTokenTiles : 1][4] = {};
    typename Format::Codes codes;
#pragma unroll
    for (uint32_t index = 0; index < Format::kSteps; ++index) {
      if (index % Format::kLoaded == 0) codes = Format::codes(stage, index, lane);
      const typename Format::Step step = Format::step(codes, side, index);
#pragma unroll
      for (uint32_t i = 0; i < kTokenTiles; ++i) {
        const uint4 b =
            *reinterpret_cast<const uint4*>(tokenStage + ((i * Format::kSteps + index) * kWarp + lane) * 16);
        Format::multiply(Format::kSummed ? parts[i] : sums[i], step, b);
      }
    }
    if constexpr (Format::kSummed) {
      const auto end = Format::end(side, lane);
#pragma unroll
      for (uint32_t i = 0; i < kTokenTiles; ++i) {
        const uint2 blockSums =
            *reinterpret_cast<const uint2*>(tokenStage + Shape::kTokenBytes + (i * kWarp + lane) * 8);
        Format::finish(sums[i], parts[i], end, blockSums);
      }
    }
    slot = slot + 1 == Shape::kStages ? 0 : slot + 1;
    if ((k + Format::kStage) % section != 0 && k + Format::kStage < depth) continue;
#pragma unroll
    for (uint32_t i = 0; i < kTokenTiles * 4; ++i) {
      float &sum = sums[i / 4][i % 4], &total = totals[i / 4][i % 4];
      total = begun ? total + sum : sum;
      sum = 0;
    }
    begun = true;
  }
  if (ownTile >= tiles) return;
#pragma unroll
  for (uint32_t i = 0; i < kTokenTiles * 2; ++i) {
    const uint32_t column = i % 2, token = firstToken + i / 2 * 8 + lane % 4 * 2 + column;
    if (token >= tokens) continue;
    const float scale = narrowScale(narrow + token * rowBytes, depth);
    op.store(tile, lane / 4, token, totals[i / 2][column] * scale, totals[i / 2][2 + column] * scale);
  }
}

}  // namespace quipu::cuda

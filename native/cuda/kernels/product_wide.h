// Products of a prompt's rows by packed weights: what an Op is, product_kernel.h says.
#pragma once

#include "cuda/kernels/product_rows.h"

namespace quipu::cuda {

// Rows of a prompt: a block is a tile of rows a warp by 64 tokens, whose activations its warps share.
constexpr uint32_t kWideTokens = 64;

template <typename Format>
struct WideShape {
  static constexpr uint32_t kOfWarp = 1, kWideTiles = kOfWarp * kSections;
  static constexpr uint32_t kTokenBytes = Format::kSteps * (kWideTokens / 8) * kWarp * 16;
  static constexpr uint32_t kStageBytes = kWideTiles * Format::kStageBytes + kTokenBytes;
  static constexpr uint32_t kStages = kStageBytes * 3 <= 160 * 1024 ? 3 : 2;
  static constexpr size_t kBytes = size_t(kStages) * kStageBytes;
};

// The same sums as productKernel's: a section's from 0, and added to those before.
template <typename Format, typename Op>
__global__ __launch_bounds__(kRowThreads) void wideKernel(Op op, const std::byte* narrow, uint32_t depth,
                                                          uint32_t tokens, uint32_t tiles) {
  using Shape = WideShape<Format>;
  constexpr uint32_t kTokenTiles = kWideTokens / 8, kOfWarp = Shape::kOfWarp, kWideTiles = Shape::kWideTiles;
  DYNAMIC_SHARED(shared);
  const uint32_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const uint32_t section = sectionOf(depth, Format::kStage);
  const size_t rowBytes = narrowBytes(depth);
  const uint32_t firstToken = blockIdx.x * kWideTokens, firstTile = blockIdx.y * kWideTiles + warp * kOfWarp;
  RowPair rows[kOfWarp];
#pragma unroll
  for (uint32_t i = 0; i < kOfWarp; ++i) {
    const uint32_t tile = firstTile + i < tiles ? firstTile + i : tiles - 1;
    rows[i] = {octetOf<Format>(op.source(tile, 0), lane), octetOf<Format>(op.source(tile, 1), lane)};
  }
  const auto fetch = [&](uint32_t slot, uint32_t k) {
    if (k < depth) {
      std::byte* stage = shared + slot * Shape::kStageBytes;
#pragma unroll
      for (uint32_t i = 0; i < kOfWarp; ++i) {
        Format::copy(stage + (warp * kOfWarp + i) * Format::kStageBytes, rows[i], k, lane, depth);
      }
      // A warp copies the activations of eight tokens.
      const uint32_t token = firstToken + warp * 8 + lane / 4;
      const std::byte* row = narrow + size_t(token < tokens ? token : 0) * rowBytes;
      std::byte* to = stage + kWideTiles * Format::kStageBytes + (warp * Format::kSteps * kWarp + lane) * 16;
#pragma unroll
      for (uint32_t step = 0; step < Format::kSteps; ++step) {
        copyAsync16(to + step * kWarp * 16, row + size_t(k + step * 32 + lane % 4 * 8) * 2, token < tokens);
      }
    }
    copyAsyncCommit();
  };
  waitForPredecessor();
  letSuccessorStart();
  op.begin(firstToken, tokens);
  for (uint32_t i = 0; i + 1 < Shape::kStages; ++i) fetch(i, i * Format::kStage);
  float sums[kOfWarp][kTokenTiles][4] = {}, totals[kOfWarp][kTokenTiles][4];
  uint32_t slot = 0;
  bool begun = false;
  for (uint32_t k = 0; k < depth; k += Format::kStage) {
    copyAsyncWait<Shape::kStages - 2>();
    __syncthreads();  // all warps' parts are there, and the stage before is done with
    fetch(slot == 0 ? Shape::kStages - 1 : slot - 1, k + (Shape::kStages - 1) * Format::kStage);
    const std::byte* stage = shared + slot * Shape::kStageBytes;
    const std::byte* tokenStage = stage + kWideTiles * Format::kStageBytes + lane * 16;
#pragma unroll
    for (uint32_t index = 0; index < Format::kSteps; ++index) {
      typename Format::Step steps[kOfWarp];
#pragma unroll
      for (uint32_t i = 0; i < kOfWarp; ++i) {
        steps[i] = Format::step(stage + (warp * kOfWarp + i) * Format::kStageBytes, index, lane);
      }
#pragma unroll
      for (uint32_t i = 0; i < kTokenTiles; ++i) {
        const uint4 b = *reinterpret_cast<const uint4*>(tokenStage + (i * Format::kSteps + index) * kWarp * 16);
#pragma unroll
        for (uint32_t of = 0; of < kOfWarp; ++of) Format::multiply(sums[of][i], steps[of], b);
      }
    }
    slot = slot + 1 == Shape::kStages ? 0 : slot + 1;
    if ((k + Format::kStage) % section != 0 && k + Format::kStage < depth) continue;
#pragma unroll
    for (uint32_t i = 0; i < kOfWarp * kTokenTiles * 4; ++i) {
      float& sum = sums[i / (kTokenTiles * 4)][i / 4 % kTokenTiles][i % 4];
      float& total = totals[i / (kTokenTiles * 4)][i / 4 % kTokenTiles][i % 4];
      total = begun ? total + sum : sum;
      sum = 0;
    }
    begun = true;
  }
  copyAsyncWait<0>();
#pragma unroll
  for (uint32_t i = 0; i < kOfWarp * kTokenTiles * 2; ++i) {
    const uint32_t of = i / (kTokenTiles * 2), tokenTile = i / 2 % kTokenTiles, column = i % 2;
    const uint32_t token = firstToken + tokenTile * 8 + lane % 4 * 2 + column;
    if (token >= tokens || firstTile + of >= tiles) continue;
    const float low = totals[of][tokenTile][column], high = totals[of][tokenTile][2 + column];
    const float scale = narrowScale(narrow + token * rowBytes, depth);
    op.store(firstTile + of, lane / 4, token, low * scale, high * scale);
  }
}

}  // namespace quipu::cuda

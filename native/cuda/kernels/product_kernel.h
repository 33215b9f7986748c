// The kernel of a product, and its launch for the rows that there are. An Op says which rows of weights are a tile's
// and what becomes of the sums:
//
//   tiles()                                   of sixteen rows, two octets
//   source(tile, half) → WeightRows           the matrix and first row of an octet
//   begin(first, tokens)                      by all threads, before a block's first sums of those tokens are stored
//   store(tile, at, token, low, high)         the sums of row `at` of both octets for a token
//
// Decoding is bound by the bytes of the weights, each of which is read once for up to 64 tokens. They come through a
// ring of stages in shared memory, one a warp, of which all but one are on their way. (In registers no more than six
// groups of loads can be told apart: at 64 kB a processor in flight, half of the memory's speed was reached.)
#pragma once

#include "cuda/kernels/product_dense.h"
#include "cuda/kernels/product_wide.h"

namespace quipu::cuda {

// Tokens whose activations every block narrows for itself, where a kernel that does it for all would cost more.
constexpr uint32_t kInlineTokens = 2;
// Tokens up to which a block is one tile's.
constexpr uint32_t kMediumTokens = 32;

template <int kTiles>
constexpr size_t kPartialBytes = sizeof(float) * kSections * 16 * kTiles * 8;
// Where a section's sum of a row and a token stands: neither what a warp stores, eight rows by four places, nor what it
// reads, likewise, meets in a bank. Of eight tokens the even ones come first, as a lane has one of each.
template <int kTiles>
__device__ __forceinline__ uint32_t partialAt(uint32_t section, uint32_t row, uint32_t place) {
  return (section * 16 + row) * kTiles * 8 + (place ^ (row * kTiles / 4 % kTiles * 8 | (row & 4)));
}
__device__ __forceinline__ uint32_t tokenOf(uint32_t place) { return place / 8 * 8 + place % 4 * 2 + place / 4 % 2; }

// What a block may have of shared memory on every GPU that is built for: 99 kB, of the smaller ones.
constexpr size_t kSharedOfBlock = 99 * 1024;

template <typename Format, int kTiles, bool kInline>
struct ProductShape {
  // Activations come with each stage where those of up to 16 tokens are no more than the weights; else they are read as
  // they are multiplied.
  static constexpr bool kStaged = !kInline && kTiles <= 2 && !Format::kPacked;
  // Whether a weight is read by one block alone: tokens in several blocks are of packed weights, where a GPU has too
  // little shared memory for wideKernel.
  static constexpr bool kOnce = kTiles <= 2 || !Format::kPacked;
  static constexpr uint32_t kTokenBytes = kStaged ? kTiles * Format::kSteps * kWarp * 16 : 0;
  static constexpr uint32_t kStageBytes = Format::kStageBytes + kTokenBytes;
  // Steps in one piece: of eight by two tiles ptxas fetches more ahead than two blocks have registers for, and spills.
  static constexpr uint32_t kUnrolled = kTiles == 2 && Format::kPacked && !Format::kSummed ? 4 : Format::kSteps;
  static constexpr uint32_t kFit = 72 * 1024 / (kSections * kStageBytes);
  static constexpr uint32_t kStages = kFit < 2 ? 2 : kFit > 6 ? 6 : kFit;
  static constexpr size_t kRingBytes = size_t(kSections) * kStages * kStageBytes;
  static_assert(kRingBytes + kPartialBytes<kTiles> <= kSharedOfBlock || kTiles > 2);
};

// A block goes through tiles, every gridDim.x-th, a warp through its section of each: stages are fetched ahead from one
// tile to the next.
// Without a number of blocks ptxas spills registers for one more of them.
template <typename Format, int kTiles, bool kInline, typename Op>
__global__ __launch_bounds__(kRowThreads,
                             kTiles <= 2 ? 2 : 1) void productKernel(Op op, Activations from, const std::byte* narrow,
                                                                     uint32_t depth, uint32_t tokens, uint32_t tiles) {
  using Shape = ProductShape<Format, kTiles, kInline>;
  DYNAMIC_SHARED(shared);
  using Words = float[kSections];
  SHARED(Words, words);
  const uint32_t warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const uint32_t section = sectionOf(depth, Format::kStage), first = warp * section;
  const uint32_t last = first + section < depth ? first + section : depth;
  const size_t rowBytes = narrowBytes(depth);
  const uint32_t firstToken = blockIdx.y * kTiles * 8;
  std::byte* ring = shared + warp * Shape::kStages * Shape::kStageBytes;
  auto* partials = reinterpret_cast<float*>(shared + Shape::kRingBytes);
  std::byte* inlineRows = shared + Shape::kRingBytes + kPartialBytes<kTiles>;

  const auto rowsOf = [&](uint32_t tile) -> RowPair {
    return {octetOf<Format>(op.source(tile, 0), lane), octetOf<Format>(op.source(tile, 1), lane)};
  };
  uint32_t fetchTile = first < last ? blockIdx.x : tiles, fetchK = first;
  RowPair fetchRows = fetchTile < tiles ? rowsOf(fetchTile) : RowPair{nullptr, nullptr};
  const auto fetchTokens = [&](std::byte* stage, uint32_t k) {
    if constexpr (Shape::kStaged) {
#pragma unroll
      for (uint32_t i = 0; i < kTiles * Format::kSteps; ++i) {
        const uint32_t token = firstToken + i / Format::kSteps * 8 + lane / 4;
        const uint32_t at = k + i % Format::kSteps * 32 + lane % 4 * 8;
        const bool there = token < tokens;
        copyAsync16(stage + Format::kStageBytes + (i * kWarp + lane) * 16,
                    there ? narrow + token * rowBytes + size_t(at) * 2 : narrow, there);
      }
    }
  };
  const auto fetch = [&](uint32_t slot, bool withTokens) {
    if (fetchTile >= tiles) return;
    std::byte* stage = ring + slot * Shape::kStageBytes;
    Format::template copy<Shape::kOnce>(stage, fetchRows, fetchK, lane, depth);
    if (withTokens) fetchTokens(stage, fetchK);
    fetchK += Format::kStage;
    if (fetchK < last) return;
    fetchK = first;
    fetchTile += gridDim.x;
    if (fetchTile < tiles) fetchRows = rowsOf(fetchTile);
  };

  // Weights are there before the kernel before has ended; activations are not.
  for (uint32_t slot = 0; slot + 1 < Shape::kStages; ++slot) fetch(slot, false);
  waitForPredecessor();
  letSuccessorStart();
  if constexpr (Shape::kStaged) {
    uint32_t k = first;
    for (uint32_t slot = 0; slot + 1 < Shape::kStages && first < last; ++slot) {
      fetchTokens(ring + slot * Shape::kStageBytes, k);
      k = k + Format::kStage < last ? k + Format::kStage : first;
    }
  }
  for (uint32_t slot = 0; slot + 1 < Shape::kStages; ++slot) copyAsyncCommit();
  if constexpr (kInline) {
    for (uint32_t token = 0; token < tokens; ++token) {
      narrowRow<Format::kNarrow>(from, token, depth, inlineRows + token * rowBytes, words);
    }
    __syncthreads();
    narrow = inlineRows;
  }
  op.begin(firstToken, tokens);
  const std::byte* blockTokens = narrow + firstToken * rowBytes;
  // Rows of the lane's tokens, in units that fit a register whatever K is; where there is no such token another's,
  // whose sums are not stored.
  uint32_t tokenRows[kTiles];
#pragma unroll
  for (uint32_t i = 0; i < kTiles; ++i) {
    const uint32_t token = i * 8 + lane / 4;
    tokenRows[i] = (firstToken + token < tokens ? token : 0) * uint32_t(rowBytes / kNarrowUnit);
  }
  const auto tokenRow = [&](uint32_t i) { return blockTokens + size_t(tokenRows[i]) * kNarrowUnit; };

  uint32_t slot = 0;
  for (uint32_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    float sums[kTiles][4] = {};
    // A thread stores sums of one row of each octet.
    float lowScale = 1, highScale = 1;
    if constexpr (!Format::kPacked) {
      lowScale = op.source(tile, 0).scaleOf(threadIdx.x % 8);
      highScale = op.source(tile, 1).scaleOf(threadIdx.x % 8);
    }
    for (uint32_t k = first; k < last; k += Format::kStage) {
      copyAsyncWait<Shape::kStages - 2>();
      __syncwarp();  // every lane's part is there, and the stage before is done with
      fetch(slot == 0 ? Shape::kStages - 1 : slot - 1, true);
      copyAsyncCommit();
      const std::byte* stage = ring + slot * Shape::kStageBytes;
      const auto side = Format::side(stage, lane);
      float parts[Format::kSummed ? kTiles : 1][4] = {};
      typename Format::Codes codes;
#pragma unroll(Shape::kUnrolled)
      for (uint32_t index = 0; index < Format::kSteps; ++index) {
        if (index % Format::kLoaded == 0) codes = Format::codes(stage, index, lane);
        const typename Format::Step step = Format::step(codes, side, index);
#pragma unroll
        for (uint32_t i = 0; i < kTiles; ++i) {
          const std::byte* at = Shape::kStaged
                                    ? stage + Format::kStageBytes + ((i * Format::kSteps + index) * kWarp + lane) * 16
                                    : tokenRow(i) + size_t(k + index * 32 + lane % 4 * 8) * 2;
          Format::multiply(Format::kSummed ? parts[i] : sums[i], step, *reinterpret_cast<const uint4*>(at));
        }
      }
      if constexpr (Format::kSummed) {
        const auto end = Format::end(side, lane);
#pragma unroll
        for (uint32_t i = 0; i < kTiles; ++i) {
          Format::finish(sums[i], parts[i], end, blockSumsOf(tokenRow(i), depth, k, lane));
        }
      }
      slot = slot + 1 == Shape::kStages ? 0 : slot + 1;
    }

#pragma unroll
    for (uint32_t i = 0; i < kTiles * 2; ++i) {
      float* low = partials + partialAt<kTiles>(warp, lane / 4, i * 4 + lane % 4);
      low[0] = sums[i / 2][i % 2];
      low[8 * kTiles * 8] = sums[i / 2][2 + i % 2];  // eight rows on
    }
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < kTiles * 64; i += kRowThreads) {
      const uint32_t at = i % 8, place = i / 8, token = tokenOf(place);
      if (firstToken + token >= tokens) continue;
      float low = partials[partialAt<kTiles>(0, at, place)], high = partials[partialAt<kTiles>(0, at + 8, place)];
      for (uint32_t s = 1; s < kSections && s * section < depth; ++s) {
        low += partials[partialAt<kTiles>(s, at, place)];
        high += partials[partialAt<kTiles>(s, at + 8, place)];
      }
      const float scale = narrowScale(blockTokens + token * rowBytes, depth);
      op.store(tile, at, firstToken + token, low * scale * lowScale, high * scale * highScale);
    }
    __syncthreads();  // before the next tile's
  }
}

// Weights of f32, of bf16 that was not laid out, and rows that are not aligned: a warp for a row of both octets, lanes
// over k, lanes added by butterflies. Activations are f32.
template <typename Op>
__global__ __launch_bounds__(kRowThreads) void plainProductKernel(Op op, const float* x, uint32_t depth,
                                                                  uint32_t tokens) {
  waitForPredecessor();
  const uint32_t tile = blockIdx.x, at = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const uint32_t firstToken = blockIdx.y * 8, count = tokens - firstToken < 8 ? tokens - firstToken : 8;
  op.begin(firstToken, tokens);
  __syncthreads();
  const WeightRows low = op.source(tile, 0), high = op.source(tile, 1);
  const auto rowOf = [&](const WeightRows& rows) {
    return size_t(rows.row + at < rows.matrix.rows ? rows.row + at : rows.matrix.rows - 1) * depth;
  };
  const size_t lowRow = rowOf(low), highRow = rowOf(high);
  float lowSums[8] = {}, highSums[8] = {};
  for (uint32_t k = lane; k < depth; k += kWarp) {
    const float a = elementOf(low.matrix.data, low.matrix.dtype, lowRow + k);
    const float b = elementOf(high.matrix.data, high.matrix.dtype, highRow + k);
#pragma unroll
    for (uint32_t t = 0; t < 8; ++t) {
      if (t >= count) break;
      const float activation = x[size_t(firstToken + t) * depth + k];
      lowSums[t] = fmaf(activation, a, lowSums[t]);
      highSums[t] = fmaf(activation, b, highSums[t]);
    }
  }
#pragma unroll
  for (uint32_t t = 0; t < 8; ++t) {
    const float lowSum = ofWarp(lowSums[t], Add()), highSum = ofWarp(highSums[t], Add());
    if (lane == 0 && t < count)
      op.store(tile, at, firstToken + t, lowSum * low.scaleOf(at), highSum * high.scaleOf(at));
  }
}

// product.cu: activations into the workspace, narrowed (narrowBytes a row) or normed (f32).
void narrowRows(const Activations& from, Narrow narrow, uint32_t depth, uint32_t tokens, std::byte* to,
                Launches& launches);
const float* normedRows(const Activations& from, uint32_t depth, uint32_t tokens, std::byte* to, Launches& launches);

inline size_t productWorkspace(uint32_t depth, uint32_t tokens) {
  const size_t narrow = narrowBytes(depth), normed = size_t(depth) * sizeof(float);
  return times(narrow > normed ? narrow : normed, tokens);
}

template <typename Format, int kTiles, bool kInline>
size_t sharedBytes(uint32_t depth, uint32_t tokens) {
  using Shape = ProductShape<Format, kTiles, kInline>;
  return Shape::kRingBytes + kPartialBytes<kTiles> + (kInline ? tokens * narrowBytes(depth) : 0);
}

// Two where a processor has the shared memory for them: what one block may have, and of each what the system takes.
inline uint32_t blocksOfProcessor(size_t shared, const Launches& launches) {
  constexpr size_t kOfSystem = 1024;
  return 2 * (shared + kOfSystem) <= launches.sharedOfBlock() + kOfSystem ? 2 : 1;
}

template <typename Format, int kTiles, bool kInline, typename Op>
void launchTiles(const Op& op, const Activations& from, const std::byte* narrow, uint32_t depth, uint32_t tokens,
                 Launches& launches) {
  const size_t shared = sharedBytes<Format, kTiles, kInline>(depth, tokens);
  const uint32_t tiles = op.tiles(), most = launches.processors() * blocksOfProcessor(shared, launches);
  launches(dim3(tiles < most ? tiles : most, blocksOf(tokens, kTiles * 8)), kRowThreads, shared,
           productKernel<Format, kTiles, kInline, Op>, op, from, narrow, depth, tokens, tiles);
}

template <typename Format, typename Op>
void launchProduct(const Op& op, const Activations& from, uint32_t depth, uint32_t tokens, std::byte* workspace,
                   Launches& launches) {
  const size_t shared = sharedBytes<Format, 1, true>(depth, tokens);
  const bool fits = shared <= kSharedOfBlock || blocksOfProcessor(shared, launches) == 2;
  if (tokens <= kInlineTokens && fits) return launchTiles<Format, 1, true>(op, from, nullptr, depth, tokens, launches);
  narrowRows(from, Format::kNarrow, depth, tokens, workspace, launches);
  if (tokens <= 8) return launchTiles<Format, 1, false>(op, from, workspace, depth, tokens, launches);
  if (tokens <= 16) return launchTiles<Format, 2, false>(op, from, workspace, depth, tokens, launches);
  if constexpr (Format::kPacked) {
    using Wide = WideShape<Format>;
    if (tokens <= kMediumTokens || Wide::kBytes > launches.sharedOfBlock()) {
      return launchTiles<Format, 4, false>(op, from, workspace, depth, tokens, launches);
    }
    launches(dim3(blocksOf(tokens, kWideTokens), blocksOf(op.tiles(), kSections)), kRowThreads, Wide::kBytes,
             wideKernel<Format, Op>, op, workspace, depth, tokens, op.tiles());
  } else {
    if (tokens <= kMediumTokens) return launchTiles<Format, 4, false>(op, from, workspace, depth, tokens, launches);
    using Dense = DenseShape;
    launches(dim3(blocksOf(tokens, Dense::kTokens), blocksOf(op.tiles(), Dense::kTiles)), Dense::kThreads,
             Dense::kBytes, denseKernel<Op>, op, workspace, depth, tokens, op.tiles());
  }
}

// `first`: one of the op's matrices; all are of its format and depth. Its workspace is productWorkspace.
template <typename Op>
void product(const Op& op, const Matrix& first, const Activations& from, uint32_t tokens, std::byte* workspace,
             Launches& launches) {
  const uint32_t depth = first.depth;
  if (tokens == 0 || op.tiles() == 0) return;
  switch (first.dtype) {
    case DType::kQ8:
      return launchProduct<PackedFormat<DType::kQ8>>(op, from, depth, tokens, workspace, launches);
    case DType::kQ6:
      return launchProduct<PackedFormat<DType::kQ6>>(op, from, depth, tokens, workspace, launches);
    case DType::kQ4:
      return launchProduct<PackedFormat<DType::kQ4>>(op, from, depth, tokens, workspace, launches);
    default:
      break;
  }
  if (first.dtype == DType::kF16 && depth % 8 == 0 && op.aligned()) {
    return launchProduct<DenseFormat>(op, from, depth, tokens, workspace, launches);
  }
  const float* x = normedRows(from, depth, tokens, workspace, launches);
  launches(dim3(op.tiles(), blocksOf(tokens, 8)), kRowThreads, 0, plainProductKernel<Op>, op, x, depth, tokens);
}

inline bool isAligned(const Matrix& matrix) { return reinterpret_cast<uintptr_t>(matrix.data) % 16 == 0; }

// out = (residual +) a · bᵀ: a tile is sixteen rows of b.
struct StoreOp {
  Matrix b;
  const float* residual;  // null: none
  float* out;

  uint32_t tiles() const { return blocksOf(b.rows, 16); }
  bool aligned() const { return isAligned(b); }
  __device__ WeightRows source(uint32_t tile, uint32_t half) const { return {b, tile * 16 + half * 8}; }
  __device__ void begin(uint32_t, uint32_t) const {}
  __device__ void store(uint32_t tile, uint32_t at, uint32_t token, float low, float high) const {
    storeRow(tile * 16 + at, token, low);
    storeRow(tile * 16 + 8 + at, token, high);
  }
  __device__ void storeRow(uint32_t row, uint32_t token, float sum) const {
    if (row >= b.rows) return;
    const size_t to = size_t(token) * b.rows + row;
    out[to] = residual == nullptr ? sum : residual[to] + sum;
  }
};

void storeProduct(const StoreOp& op, const Activations& from, uint32_t tokens, std::byte* workspace,
                  Launches& launches);

}  // namespace quipu::cuda

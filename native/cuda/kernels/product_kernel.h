// The kernel of a product, and its launch for the rows that there are. An Op says which rows of weights are a tile's
// and what becomes of the sums:
//
//   tiles()                                   of sixteen rows, two octets
//   source(tile, half) → WeightRows           the matrix and first row of an octet
//   store(tile, at, token, low, high)         the sums of row `at` of both octets for a token
//
// Decoding is bound by the bytes of the weights, each of which is read once for up to 64 tokens: a warp has
// kAhead steps of 1 kB in flight. A block is one tile, so that few rows of weights are many blocks too.
#pragma once

#include "cuda/kernels/product.h"

namespace quipu::cuda {

struct Matrix {
  const std::byte* data;
  DType dtype;
  uint32_t rows, depth;
};

inline Matrix matrixOf(const View& view) {
  return {view.as<const std::byte>(), view.dtype, view.dims[0], view.dims[1]};
}

struct WeightRows {
  Matrix matrix;
  uint32_t row;
};

// Tokens whose activations every block narrows for itself, where a kernel that does it for all would cost more.
constexpr uint32_t kInlineTokens = 2;

// What a lane reads of an octet; rows beyond the matrix are its last, and their sums nobody's.
template <typename Format>
__device__ __forceinline__ const std::byte* octetOf(const WeightRows& rows, uint32_t lane) {
  const Matrix& matrix = rows.matrix;
  if (isPacked(matrix.dtype)) {
    const uint32_t octet = rows.row < matrix.rows ? rows.row / kOctet : (matrix.rows - 1) / kOctet;
    return matrix.data + size_t(octet) * supersOf(matrix.depth) * superBytes(matrix.dtype);
  }
  const uint32_t row = rows.row + lane / 4;
  return matrix.data + size_t(row < matrix.rows ? row : matrix.rows - 1) * matrix.depth * 2;
}

template <int kTiles>
constexpr uint32_t kPartialStride = kTiles * 8 + 1;  // tokens, and one that spreads rows over the banks
template <int kTiles>
constexpr size_t kPartialBytes = sizeof(float) * kSections * 16 * kPartialStride<kTiles>;

template <typename Format, int kTiles, bool kInline, typename Op>
__global__ __launch_bounds__(kRowThreads) void productKernel(Op op, Activations from, const std::byte* narrow,
                                                             uint32_t depth, uint32_t tokens) {
  DYNAMIC_SHARED(shared);
  using Words = float[kSections];
  SHARED(Words, words);
  const uint32_t tile = blockIdx.x, warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const uint32_t section = sectionOf(depth, Format::kSection), first = warp * section;
  const uint32_t last = first + section < depth ? first + section : depth;
  const RowPair rows = {octetOf<Format>(op.source(tile, 0), lane), octetOf<Format>(op.source(tile, 1), lane)};

  typename Format::Step ring[Format::kAhead];
#pragma unroll
  for (uint32_t i = 0; i < Format::kAhead; ++i) {
    const uint32_t k = first + i * Format::kUnit;
    if (k < last) ring[i] = Format::load(rows, k, lane, depth);
  }
  typename Format::Side side, next;
  if (first < last) Format::loadSide(side, rows, first, lane);
  if (first + kSuper < last) Format::loadSide(next, rows, first + kSuper, lane);
  waitForPredecessor();
  letSuccessorStart();

  const size_t rowBytes = narrowBytes(depth);
  const uint32_t firstToken = blockIdx.y * kTiles * 8;
  if constexpr (kInline) {
    for (uint32_t token = 0; token < tokens; ++token) {
      narrowRow<Format::kNarrow>(from, token, depth, shared + token * rowBytes, words);
    }
    __syncthreads();
    narrow = shared;
  }
  TokenRow tokenRows[kTiles];
#pragma unroll
  for (uint32_t i = 0; i < kTiles; ++i) {
    const uint32_t token = firstToken + i * 8 + lane / 4;
    tokenRows[i].row = token < tokens ? narrow + token * rowBytes : nullptr;
  }
  float sums[kTiles][4] = {};
  for (uint32_t from = first; from < last; from += Format::kAhead * Format::kUnit) {
#pragma unroll
    for (uint32_t i = 0; i < Format::kAhead; ++i) {
      const uint32_t k = from + i * Format::kUnit;
      if (k >= last) break;
      if (Format::kSection == kSuper && k % kSuper == 0 && k != first) {
        side = next;
        if (k + kSuper < last) Format::loadSide(next, rows, k + kSuper, lane);
      }
      Format::multiply(sums, ring[i], side, k, tokenRows, lane);
      const uint32_t ahead = k + Format::kAhead * Format::kUnit;
      if (ahead < last) ring[i] = Format::load(rows, ahead, lane, depth);
    }
  }

  // [section][row of 16][token]
  constexpr uint32_t kStride = kPartialStride<kTiles>;
  auto* partials = reinterpret_cast<float*>(shared + (kInline ? tokens * rowBytes : 0));
  float* own = partials + (warp * 16 + lane / 4) * kStride + lane % 4 * 2;
#pragma unroll
  for (uint32_t i = 0; i < kTiles; ++i) {
    own[i * 8] = sums[i][0];
    own[i * 8 + 1] = sums[i][1];
    own[8 * kStride + i * 8] = sums[i][2];
    own[8 * kStride + i * 8 + 1] = sums[i][3];
  }
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < kTiles * 64; i += kRowThreads) {
    const uint32_t at = i % 8, inTile = i / 8, token = firstToken + inTile;
    if (token >= tokens) continue;
    float low = partials[at * kStride + inTile], high = partials[(at + 8) * kStride + inTile];
    for (uint32_t s = 1; s < kSections && s * section < depth; ++s) {
      low += partials[(s * 16 + at) * kStride + inTile];
      high += partials[(s * 16 + at + 8) * kStride + inTile];
    }
    if constexpr (Format::kNarrow != Narrow::kBf16) {
      const float scale = *reinterpret_cast<const float*>(narrow + token * rowBytes + size_t(narrowWidth(depth)) * 2);
      low *= scale;
      high *= scale;
    }
    op.store(tile, at, token, low, high);
  }
}

// Weights of f32, and rows that are not aligned: a warp for a row of both octets, lanes over k, lanes added by
// butterflies. Activations are f32.
template <typename Op>
__global__ __launch_bounds__(kRowThreads) void plainProductKernel(Op op, const float* x, uint32_t depth,
                                                                  uint32_t tokens) {
  waitForPredecessor();
  const uint32_t tile = blockIdx.x, at = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const uint32_t firstToken = blockIdx.y * 8, count = tokens - firstToken < 8 ? tokens - firstToken : 8;
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
    if (lane == 0 && t < count) op.store(tile, at, firstToken + t, lowSum, highSum);
  }
}

// product.cu: activations into the workspace, narrowed (narrowBytes a row) or normed (f32).
void narrowRows(const Activations& from, Narrow narrow, uint32_t depth, uint32_t tokens, std::byte* to,
                Launches& launches);
const float* normedRows(const Activations& from, uint32_t depth, uint32_t tokens, std::byte* to, Launches& launches);

inline size_t productWorkspace(uint32_t depth, uint32_t tokens) {
  const size_t narrow = narrowBytes(depth), normed = size_t(depth) * sizeof(float);
  return (narrow > normed ? narrow : normed) * tokens;
}

template <typename Format, typename Op>
void launchProduct(const Op& op, const Activations& from, uint32_t depth, uint32_t tokens, std::byte* workspace,
                   Launches& launches) {
  const uint32_t tiles = op.tiles();
  if (tokens <= kInlineTokens) {
    launches(dim3(tiles), kRowThreads, tokens * narrowBytes(depth) + kPartialBytes<1>, productKernel<Format, 1, true, Op>,
             op, from, static_cast<const std::byte*>(nullptr), depth, tokens);
    return;
  }
  narrowRows(from, Format::kNarrow, depth, tokens, workspace, launches);
  if (tokens <= 8) {
    launches(dim3(tiles), kRowThreads, kPartialBytes<1>, productKernel<Format, 1, false, Op>, op, from, workspace, depth,
             tokens);
  } else if (tokens <= 16) {
    launches(dim3(tiles), kRowThreads, kPartialBytes<2>, productKernel<Format, 2, false, Op>, op, from, workspace, depth,
             tokens);
  } else {
    launches(dim3(tiles, blocksOf(tokens, 64)), kRowThreads, kPartialBytes<8>, productKernel<Format, 8, false, Op>, op,
             from, workspace, depth, tokens);
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
      return launchProduct<Q8Format>(op, from, depth, tokens, workspace, launches);
    case DType::kQ6:
      return launchProduct<NibbleFormat<true>>(op, from, depth, tokens, workspace, launches);
    case DType::kQ4:
      return launchProduct<NibbleFormat<false>>(op, from, depth, tokens, workspace, launches);
    default:
      break;
  }
  if (first.dtype != DType::kF32 && depth % 8 == 0 && op.aligned()) {
    if (first.dtype == DType::kBF16) return launchProduct<DenseFormat<true>>(op, from, depth, tokens, workspace, launches);
    return launchProduct<DenseFormat<false>>(op, from, depth, tokens, workspace, launches);
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

// matmul, matmulAdd, and what products begin with.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/product_kernel.h"

namespace quipu::cuda {

namespace {

// (A number of blocks, as ptxas spills registers for one more without it.)
template <Narrow kNarrow>
__global__ __launch_bounds__(kRowThreads, 2) void narrowKernel(Activations from, uint32_t depth, std::byte* to) {
  using Words = float[kSections];
  SHARED(Words, words);
  waitForPredecessor();
  letSuccessorStart();
  narrowRow<kNarrow>(from, blockIdx.x, depth, to + size_t(blockIdx.x) * narrowBytes(depth), words);
}

__global__ __launch_bounds__(kRowThreads) void normedKernel(Activations from, uint32_t depth, float* to) {
  using Words = float[kSections];
  SHARED(Words, words);
  waitForPredecessor();
  const float* x = from.x + size_t(blockIdx.x) * depth;
  const float scale = normScaleOf(x, depth, from.epsilon, words);
  for (uint32_t k = threadIdx.x; k < depth; k += kRowThreads) {
    to[size_t(blockIdx.x) * depth + k] = x[k] * scale * elementOf(from.norm, from.normType, k);
  }
}

Activations plain(const View& a) { return {a.as<float>(), nullptr, DType::kF32, 0}; }

}  // namespace

void narrowRows(const Activations& from, Narrow narrow, uint32_t depth, uint32_t tokens, std::byte* to,
                Launches& launches) {
  const auto kernel = narrow == Narrow::kHalf         ? narrowKernel<Narrow::kHalf>
                      : narrow == Narrow::kSummedHalf ? narrowKernel<Narrow::kSummedHalf>
                                                      : narrowKernel<Narrow::kRotatedHalf>;
  launches(dim3(tokens), kRowThreads, 0, kernel, from, depth, to);
}

const float* normedRows(const Activations& from, uint32_t depth, uint32_t tokens, std::byte* to, Launches& launches) {
  if (from.norm == nullptr) return from.x;
  auto* rows = reinterpret_cast<float*>(to);
  launches(dim3(tokens), kRowThreads, 0, normedKernel, from, depth, rows);
  return rows;
}

void storeProduct(const StoreOp& op, const Activations& from, uint32_t tokens, std::byte* workspace,
                  Launches& launches) {
  product(op, op.b, from, tokens, workspace, launches);
}

size_t matmulWorkspace(const OpCall& call) {
  return productWorkspace(call[matmul::kA].dims[1], call[matmul::kA].dims[0]);
}

void matmul(const OpCall& call, Launches& launches) {
  using namespace quipu::matmul;
  storeProduct({matrixOf(call[kB]), nullptr, call[kOut].as<float>()}, plain(call[kA]), call[kA].dims[0], call.workspace,
               launches);
}

size_t matmulAddWorkspace(const OpCall& call) {
  return productWorkspace(call[matmul_add::kA].dims[1], call[matmul_add::kA].dims[0]);
}

void matmulAdd(const OpCall& call, Launches& launches) {
  using namespace matmul_add;
  storeProduct({matrixOf(call[kB]), call[kResidual].as<float>(), call[kOut].as<float>()}, plain(call[kA]),
               call[kA].dims[0], call.workspace, launches);
}

}  // namespace quipu::cuda

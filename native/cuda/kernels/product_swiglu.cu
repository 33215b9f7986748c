// matmulSwiglu, normMatmulSwiglu: a tile is eight rows of gate and the same of up.
#include "cuda/kernels/kernels.h"
#include "cuda/kernels/product_kernel.h"

namespace quipu::cuda {

namespace {

struct SwigluOp {
  Matrix gate, up;
  float* out;

  uint32_t tiles() const { return blocksOf(gate.rows, 8); }
  bool aligned() const { return isAligned(gate) && isAligned(up); }
  __device__ WeightRows source(uint32_t tile, uint32_t half) const { return {half == 0 ? gate : up, tile * 8}; }
  __device__ void begin(uint32_t, uint32_t) const {}
  __device__ void store(uint32_t tile, uint32_t at, uint32_t token, float low, float high) const {
    const uint32_t row = tile * 8 + at;
    if (row < gate.rows) out[size_t(token) * gate.rows + row] = silu(low) * high;
  }
};

}  // namespace

size_t matmulSwigluWorkspace(const OpCall& call) {
  return productWorkspace(call[matmul_swiglu::kA].dims[1], call[matmul_swiglu::kA].dims[0]);
}

void matmulSwiglu(const OpCall& call, Launches& launches) {
  using namespace matmul_swiglu;
  const SwigluOp op = {matrixOf(call[kGate]), matrixOf(call[kUp]), call[kOut].as<float>()};
  product(op, op.gate, {call[kA].as<float>(), nullptr, DType::kF32, 0}, call[kA].dims[0], call.workspace, launches);
}

size_t normMatmulSwigluWorkspace(const OpCall& call) {
  return productWorkspace(call[norm_matmul_swiglu::kX].dims[1], call[norm_matmul_swiglu::kX].dims[0]);
}

void normMatmulSwiglu(const OpCall& call, Launches& launches) {
  using namespace norm_matmul_swiglu;
  const SwigluOp op = {matrixOf(call[kGate]), matrixOf(call[kUp]), call[kOut].as<float>()};
  const Activations from = {call[kX].as<float>(), call[kNorm].data, call[kNorm].dtype, call.floatAttribute(kEpsilon)};
  product(op, op.gate, from, call[kX].dims[0], call.workspace, launches);
}

}  // namespace quipu::cuda

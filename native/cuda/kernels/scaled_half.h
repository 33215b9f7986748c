// Matrices of bf16 as f16: every row times the power of two that makes its greatest element 2¹⁵ … 2¹⁶, and its inverse
// beside it. The same values: exact down to 2⁻³² of the row's greatest, beneath that to 2⁻⁴⁰ of it, where f32 sums have
// no bits left. What it buys: activations of 11 bits beside them in place of 8 at the same speed.
#pragma once

#include "cuda/op_call.h"

namespace quipu::cuda {

// In place; `scales`: [rows], what elements of a row count times.
cudaError_t toScaledHalf(std::byte* matrix, uint32_t rows, uint32_t columns, float* scales, cudaStream_t stream);

}  // namespace quipu::cuda

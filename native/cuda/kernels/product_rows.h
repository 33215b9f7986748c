// Rows of weights as products name them.
#pragma once

#include "cuda/kernels/product.h"

namespace quipu::cuda {

struct Matrix {
  const std::byte* data;
  DType dtype;
  uint32_t rows, depth;
  const float* scales;  // of rows; null: all 1

  __device__ __forceinline__ float scaleOf(uint32_t row) const {
    return scales == nullptr ? 1.0f : scales[row < rows ? row : rows - 1];
  }
};

inline Matrix matrixOf(const View& view) {
  return {view.as<const std::byte>(), view.dtype, view.dims[0], view.dims[1], view.scales};
}

struct WeightRows {
  Matrix matrix;
  uint32_t row;

  // What the sums of the octet's row `at` are multiplied by.
  __device__ __forceinline__ float scaleOf(uint32_t at) const { return matrix.scaleOf(row + at); }
};

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

}  // namespace quipu::cuda

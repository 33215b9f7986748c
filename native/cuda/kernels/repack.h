// Packed matrices as the CPU has them, laid out for a GPU (packed.h).
#pragma once

#include "cuda/op_call.h"

namespace quipu::cuda {

size_t repackedBytes(DType dtype, uint32_t rows, uint32_t depth);

// `from`: the CPU's bytes, on the device; `to`: repackedBytes.
cudaError_t repack(DType dtype, const std::byte* from, uint32_t rows, uint32_t depth, std::byte* to,
                   cudaStream_t stream);

}  // namespace quipu::cuda

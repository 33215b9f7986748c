#include "cuda/kernels/elements.h"
#include "cuda/kernels/scaled_half.h"

namespace quipu::cuda {

namespace {

// A block is a row. NaN and infinities stay what they are.
__global__ __launch_bounds__(kRowThreads) void scaledHalfKernel(uint16_t* matrix, uint32_t columns, float* scales) {
  using Words = float[kRowThreads / kWarp];
  SHARED(Words, words);
  uint16_t* row = matrix + size_t(blockIdx.x) * columns;
  float greatest = 0;
  for (uint32_t k = threadIdx.x; k < columns; k += kRowThreads) {
    const float size = fabsf(bf16ToFloat(row[k]));
    if (size < __uint_as_float(0x7F800000)) greatest = fmaxf(greatest, size);
  }
  greatest = ofBlock(greatest, words, Maximum());
  // A power of two and its inverse are both numbers: of rows beneath 2⁻¹¹¹ the greatest stays smaller.
  const int exponent = int(__float_as_uint(greatest) >> 23) - 127, shift = exponent < -111 ? 126 : 15 - exponent;
  const float by = __uint_as_float(uint32_t(shift + 127) << 23);
  for (uint32_t k = threadIdx.x; k < columns; k += kRowThreads) row[k] = halfBits(bf16ToFloat(row[k]) * by);
  if (threadIdx.x == 0) scales[blockIdx.x] = __uint_as_float(uint32_t(127 - shift) << 23);
}

}  // namespace

cudaError_t toScaledHalf(std::byte* matrix, uint32_t rows, uint32_t columns, float* scales, cudaStream_t stream) {
  Launches launches(stream, {1, 0});
  launches(dim3(rows), kRowThreads, 0, scaledHalfKernel, reinterpret_cast<uint16_t*>(matrix), columns, scales);
  return launches.error();
}

}  // namespace quipu::cuda

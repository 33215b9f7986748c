// Memory on a GPU, and memory of the host that it reads by itself.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/memory.h"
#include "cuda/errors.h"

namespace quipu::cuda {

struct FreeOnDevice {
  void operator()(std::byte* memory) const { (void)cudaFree(memory); }
};
using DeviceBytes = std::unique_ptr<std::byte, FreeOnDevice>;

inline Status allocateOnDevice(size_t bytes, DeviceBytes& out) {
  void* memory = nullptr;
  if (const cudaError_t error = cudaMalloc(&memory, bytes == 0 ? 1 : bytes); error != cudaSuccess) {
    return statusOf(error, "the device refused " + std::to_string(bytes) + " bytes of memory");
  }
  out.reset(static_cast<std::byte*>(memory));
  return {};
}

struct FreePinned {
  void operator()(std::byte* memory) const { (void)cudaFreeHost(memory); }
};
// Pages that stay where they are, so that copies go on beside the host.
using PinnedBytes = std::unique_ptr<std::byte, FreePinned>;

inline Status allocatePinned(size_t bytes, PinnedBytes& out) {
  void* memory = nullptr;
  if (const cudaError_t error = cudaMallocHost(&memory, bytes == 0 ? 1 : bytes); error != cudaSuccess) {
    return statusOf(error, "the system refused " + std::to_string(bytes) + " bytes of pinned memory");
  }
  out.reset(static_cast<std::byte*>(memory));
  return {};
}

// A matrix that was bf16 and is f16 now (kernels/scaled_half.h).
struct ScaledHalf {
  const float* scales = nullptr;  // of its rows, behind them; null: the memory is none
  uint32_t columns = 0;
};

class CudaMemory final : public Memory {
 public:
  CudaMemory(DeviceBytes data, size_t bytes, uint32_t indexBound, bool writable, ScaledHalf scaled = {})
      : Memory(bytes, indexBound, writable, 0), data_(std::move(data)), scaled_(scaled) {}

  std::byte* data() const { return data_.get(); }
  const ScaledHalf& scaled() const { return scaled_; }

 private:
  void release() override { data_.reset(); }

  DeviceBytes data_;
  const ScaledHalf scaled_;
};

inline std::byte* addressOf(const Memory& memory) { return static_cast<const CudaMemory&>(memory).data(); }
inline const ScaledHalf& scaledHalf(const Memory& memory) { return static_cast<const CudaMemory&>(memory).scaled(); }

}  // namespace quipu::cuda

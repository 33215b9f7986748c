// Which GPUs there are.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace quipu::cuda {

struct GpuDescription {
  std::string name, capability;  // "NVIDIA H100 80GB HBM3", "9.0"
  uint64_t bytes, freeBytes;     // of its memory
};

struct GpuList {
  std::string driver, runtime;  // the CUDA version that the driver supports, and that of this build: "13.0"
  std::vector<GpuDescription> gpus;
};

// ERR_DEVICE_UNAVAILABLE where no driver answers, where it is too old, and where it shows no GPU.
Status listGpus(GpuList& out);
// The same where GPU `index` is not among them.
Status findGpu(uint32_t index);

}  // namespace quipu::cuda

#include "cuda/gpus.h"

#include "cuda/errors.h"

namespace quipu::cuda {

namespace {

Status unavailable(const std::string& message) { return Status::error(ErrorCode::kDeviceUnavailable, message); }

std::string versionOf(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// How many the driver shows.
Status count(int& driver, int& runtime, int& gpus) {
  (void)cudaRuntimeGetVersion(&runtime);
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return unavailable("no NVIDIA driver answers (libcuda.so.1 was not found, or could not be used)");
  }
  cudaError_t error = cudaGetDeviceCount(&gpus);
  if (isLost(error)) {  // a device of this process failed before: what it had is gone, and a new one may do
    (void)cudaDeviceReset();
    error = cudaGetDeviceCount(&gpus);
  }
  if (error == cudaErrorInsufficientDriver) {
    return unavailable("the NVIDIA driver supports CUDA " + versionOf(driver) + ", this build needs " +
                       versionOf(runtime) + ": a newer driver is needed");
  }
  if (error != cudaSuccess || gpus == 0) {
    return unavailable(std::string("the NVIDIA driver shows no GPU: ") + cudaGetErrorString(error));
  }
  return {};
}

}  // namespace

Status listGpus(GpuList& out) {
  int driver = 0, runtime = 0, gpus = 0;
  if (Status status = count(driver, runtime, gpus); !status.ok()) return status;
  out = {versionOf(driver), versionOf(runtime), {}};
  for (int index = 0; index < gpus; ++index) {
    cudaDeviceProp properties;
    size_t freeBytes = 0, bytes = 0;
    cudaError_t error = cudaGetDeviceProperties(&properties, index);
    if (error == cudaSuccess) error = cudaSetDevice(index);
    if (error == cudaSuccess) error = cudaMemGetInfo(&freeBytes, &bytes);
    if (error != cudaSuccess) {
      return unavailable("GPU " + std::to_string(index) + " cannot be used: " + cudaGetErrorString(error));
    }
    out.gpus.push_back(
        {properties.name, std::to_string(properties.major) + "." + std::to_string(properties.minor), bytes, freeBytes});
  }
  return {};
}

Status findGpu(uint32_t index) {
  int driver = 0, runtime = 0, gpus = 0;
  if (Status status = count(driver, runtime, gpus); !status.ok()) return status;
  if (index < static_cast<uint32_t>(gpus)) return {};
  return unavailable("GPU " + std::to_string(index) + " is not among the " + std::to_string(gpus) +
                     " that the driver shows, counted from 0 (CUDA_VISIBLE_DEVICES may hide some)");
}

}  // namespace quipu::cuda

// Errors of the CUDA runtime as ours.
#pragma once

#include <string>

#include "core/error.h"
#include "cuda/gpu.h"

namespace quipu::cuda {

// Errors after which every call of this process has the same one.
inline bool isLost(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorECCUncorrectable:
    case cudaErrorAssert:
    case cudaErrorDevicesUnavailable:
      return true;
    default:
      return false;
  }
}

// What `doing` came to: ERR_OUT_OF_MEMORY where the device has none left, ERR_DEVICE_LOST where nothing can be done
// with it any more, ERR_INTERNAL else. An error that is not the device's end is forgotten.
inline Status statusOf(cudaError_t error, const std::string& doing) {
  if (error == cudaSuccess) return {};
  const std::string what = doing + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")";
  if (isLost(error)) return Status::error(ErrorCode::kDeviceLost, what);
  (void)cudaGetLastError();
  return Status::error(error == cudaErrorMemoryAllocation ? ErrorCode::kOutOfMemory : ErrorCode::kInternal, what);
}

}  // namespace quipu::cuda

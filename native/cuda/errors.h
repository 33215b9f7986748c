// Errors of the CUDA runtime as ours.
#pragma once

#include <string>

#include "core/error.h"
#include "cuda/gpu.h"

namespace quipu::cuda {

// What `doing` came to: ERR_OUT_OF_MEMORY where the device has none left, ERR_DEVICE_LOST where nothing can be done
// with it any more in this process, ERR_INTERNAL else. An error that is not the device's end is forgotten.
inline Status statusOf(cudaError_t error, const std::string& doing) {
  if (error == cudaSuccess) return {};
  const std::string what = doing + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")";
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return Status::error(ErrorCode::kOutOfMemory, what);
  }
  // Errors that stay: the next call has one too.
  const bool lost = cudaGetLastError() != cudaSuccess && cudaPeekAtLastError() != cudaSuccess;
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
      return Status::error(ErrorCode::kDeviceLost, what);
    default:
      return Status::error(lost ? ErrorCode::kDeviceLost : ErrorCode::kInternal, what);
  }
}

}  // namespace quipu::cuda

// How calls of the runtime begin and end: a machine that has no device, or has lost it, answers none of them, and what
// fails is the thread's last error.
#pragma once

#include "simt/host_api.h"
#include "simt/stream.h"

namespace quipu::simt {

cudaError_t noted(cudaError_t error);
// cudaSuccess, or why there is no device to call.
cudaError_t stateOfMachine();
int currentDevice();

template <typename F>
cudaError_t call(F&& f) {
  const cudaError_t state = stateOfMachine();
  return noted(state != cudaSuccess ? state : f());
}

template <typename F>
cudaError_t onStream(cudaStream_t stream, F&& f) {
  return call([&] { return executor().knows(stream) ? f() : cudaErrorInvalidResourceHandle; });
}

}  // namespace quipu::simt

// Entry of quipu-cuda.node: the CUDA device, with the face that every device has.
#include <napi.h>

#include <cstdlib>
#include <string>

#include "binding/classes.h"
#include "core/device.h"
#include "cuda/backend.h"

namespace quipu {

// `target`: the GPU's number among those that the driver shows.
Status Device::open(const std::string& target, uint32_t, std::shared_ptr<Device>& out) {
  std::unique_ptr<RunQueue> queue;
  std::unique_ptr<Backend> backend;
  const auto index = static_cast<uint32_t>(strtoul(target.c_str(), nullptr, 10));
  if (Status status = cuda::CudaBackend::open(index, backend); !status.ok()) return status;
  if (Status status = RunQueue::start(queue); !status.ok()) return status;
  out = std::make_shared<Device>(std::move(queue), std::move(backend), 1);
  return {};
}

}  // namespace quipu

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  auto* classes = new quipu::binding::Classes();
  quipu::binding::defineDevice(env, exports, *classes);
  env.SetInstanceData<quipu::binding::Classes>(classes);
  return exports;
}

}  // namespace

NODE_API_MODULE(quipu_cuda, initialize)

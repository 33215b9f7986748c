// Entry of quipu-reference.node, which only tests build: the reference device, with the face that every device has.
#include <napi.h>

#include <string>

#include "binding/classes.h"
#include "core/device.h"
#include "reference/backend.h"

namespace quipu {

Status Device::open(const std::string& target, uint32_t, std::shared_ptr<Device>& out) {
  if (target != "float64") {
    return Status::error(ErrorCode::kDeviceUnavailable, "the reference device has no kernels \"" + target + "\"");
  }
  std::unique_ptr<RunQueue> queue;
  std::unique_ptr<Backend> backend;
  if (Status status = RunQueue::start(queue); !status.ok()) return status;
  if (Status status = reference::ReferenceBackend::start(backend); !status.ok()) return status;
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

NODE_API_MODULE(quipu_reference, initialize)

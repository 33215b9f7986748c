// The device of quipu.node.
#include "core/device.h"
#include "cpu/backend.h"
#include "cpu/shared_threads.h"
#include "cpu/targets.h"

namespace quipu {

Status Device::open(const std::string& target, uint32_t threads, std::shared_ptr<Device>& out) {
  const cpu::Target* kernels = cpu::findTarget(target);
  if (kernels == nullptr) {
    return Status::error(ErrorCode::kDeviceUnavailable, "this CPU cannot run the kernels \"" + target + "\"");
  }
  std::shared_ptr<cpu::SharedThreads> shared;
  if (Status status = cpu::SharedThreads::open(threads, shared); !status.ok()) return status;
  auto backend = std::make_unique<cpu::CpuBackend>(*kernels, shared->pool(), threads);
  out = std::make_shared<Device>(std::shared_ptr<RunQueue>(shared, &shared->queue()), std::move(backend), threads);
  return {};
}

}  // namespace quipu

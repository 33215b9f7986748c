// The device of quipu.node.
#include "core/device.h"
#include "cpu/backend.h"
#include "cpu/shared_threads.h"
#include "cpu/targets.h"

namespace quipu {

namespace {

Status noKernels(const std::string& target) {
  return Status::error(ErrorCode::kDeviceUnavailable, "this CPU cannot run the kernels \"" + target + "\"");
}

}  // namespace

Status Device::open(const std::string& target, uint32_t threads, std::shared_ptr<Device>& out) {
  const cpu::Target* kernels = cpu::findTarget(target);
  if (kernels == nullptr) return noKernels(target);
  std::shared_ptr<cpu::SharedThreads> shared;
  if (Status status = cpu::SharedThreads::open(threads, shared); !status.ok()) return status;
  auto backend = std::make_unique<cpu::CpuBackend>(*kernels, shared->pool(), threads);
  out = std::make_shared<Device>(std::shared_ptr<RunQueue>(shared, &shared->queue()), std::move(backend), threads);
  return {};
}

// Arena, scratch of all threads, what they share.
Status Device::workspaceOf(const std::string& target, uint32_t threads, const Program& program,
                           std::vector<size_t>& parts) {
  const cpu::Target* kernels = cpu::findTarget(target);
  if (kernels == nullptr) return noKernels(target);
  const cpu::Workspace workspace = cpu::Workspace::of(*kernels, program);
  for (const size_t bytes : {program.arenaBytes(), workspace.scratchBytes * threads, workspace.sharedBytes}) {
    parts.push_back(cpu::heldBytes(bytes));
  }
  return {};
}

}  // namespace quipu

// The CPU device: walks a program's ops with all threads of its pool, kernels of one instruction set.
#pragma once

#include <memory>
#include <vector>

#include "core/backend.h"
#include "cpu/kernel.h"
#include "cpu/thread_pool.h"

namespace quipu::cpu {

class CpuBackend final : public Backend {
 public:
  CpuBackend(const Target& target, uint32_t threads);

  Status prepare(const std::shared_ptr<const Program>& program) override;
  Status run(const std::atomic<bool>& cancelled) override;
  size_t workspaceBytes() const override;

 private:
  void runOps(uint32_t thread);
  Status failureOf(uint32_t failure) const;

  const Target& target_;
  ThreadPool pool_;
  Team team_;
  std::shared_ptr<Buffer> arena_, scratch_, shared_;  // grow to the largest that any program needs
  size_t scratchBytes_ = 0;                           // of one thread

  std::shared_ptr<const Program> program_;  // the prepared one; views_ and calls_ belong to it
  std::vector<View> views_;
  std::vector<OpCall> calls_;
};

}  // namespace quipu::cpu

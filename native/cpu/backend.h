// The CPU device: makes the phases of a program's kernels, of one instruction set, into a run of the shared threads.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "cpu/kernel.h"
#include "cpu/thread_pool.h"

namespace quipu::cpu {

class CpuBackend final : public Backend, private ThreadTeam::Work {
 public:
  // Runs use up to `threads` threads of the pool, which it has been grown to.
  CpuBackend(const Target& target, ThreadPool& pool, uint32_t threads)
      : target_(target), pool_(pool), threads_(threads) {}

  Status prepare(const std::shared_ptr<const Program>& program) override;
  Status run(const std::atomic<bool>& cancelled) override;
  size_t workspaceBytes() const override { return workspaceBytes_.load(std::memory_order_relaxed); }

 private:
  struct Step {
    uint32_t op;
    const Phase* phase;
  };

  size_t tasks(uint32_t step) override;
  void perform(uint32_t step, uint32_t thread, ThreadTeam::Claims& claims) override;
  Status makeRoom(size_t arena, size_t scratch, size_t shared);
  Status failureOf(uint64_t failure) const;

  const Target& target_;
  ThreadPool& pool_;
  const uint32_t threads_;
  std::shared_ptr<Buffer> arena_, scratch_, shared_;  // grow to the largest that any program needs
  size_t scratchBytes_ = 0;                           // of one thread
  std::atomic<size_t> workspaceBytes_{0};
  std::atomic<uint64_t> failure_{0};  // of the run: the op, the code and the row; 0 is none

  std::shared_ptr<const Program> program_;  // the prepared one; what follows belongs to it
  std::vector<View> views_;
  std::vector<OpCall> calls_;  // by op
  std::vector<Step> steps_;
};

}  // namespace quipu::cpu

// The CPU device: makes the phases of a program's kernels, of one instruction set, into runs of the shared threads. The
// work is done inside submit().
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "cpu/host_memory.h"
#include "cpu/kernel.h"
#include "cpu/thread_pool.h"

namespace quipu::cpu {

class CpuBackend;

// What the kernels of a program need beside its arena, by the shapes and dtypes of its capacity alone.
struct Workspace {
  size_t scratchBytes = 0;  // of each thread
  size_t sharedBytes = 0;   // of all

  void add(const Kernel& kernel, const OpCall& call);
  static Workspace of(const Target& target, const Program& program);
};

// Bytes that are taken for an arena, or workspace of one kind, of `bytes`.
size_t heldBytes(size_t bytes);

// To be raised whenever a kernel reads or writes any packed format otherwise than before, in codes, scales or their
// places: packed weights are kept in files (core/prepared_file.h). The same for all instruction sets.
constexpr uint32_t kPackedLayout = 2;

// A program's calls, with the addresses of their operands. Those in the arena move with it.
class CpuExecutable final : public Executable, private ThreadTeam::Work {
 public:
  ~CpuExecutable() override;

 private:
  friend class CpuBackend;
  struct Step {
    uint32_t op;
    const Phase* phase;
  };
  struct ArenaView {
    uint32_t view;
    size_t offset;
  };
  struct LeadingView {
    uint32_t view;
    Leading leading;
  };

  CpuExecutable(CpuBackend& backend, const Program& program);
  void placeArena(std::byte* arena);
  void setCounts(const RowCounts& counts);
  size_t tasks(uint32_t step) override;
  void perform(uint32_t step, uint32_t thread, ThreadTeam::Claims& claims) override;

  CpuBackend& backend_;
  const uint64_t number_;
  std::vector<View> views_;
  std::vector<OpCall> calls_;  // by op
  std::vector<Step> steps_;
  std::vector<ArenaView> arenaViews_;
  std::byte* arena_ = nullptr;  // where those lie
  std::vector<LeadingView> leadingViews_;
  RowCounts counts_;  // that those have
  Workspace workspace_;
  size_t arenaBytes_, rows_;
  bool isFilled_;  // every run has all rows
};

class CpuBackend final : public Backend {
 public:
  // Runs use up to `threads` threads of the pool, which it has been grown to.
  CpuBackend(const Target& target, ThreadPool& pool, uint32_t threads)
      : target_(target), pool_(pool), threads_(threads) {}

  Status allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<Memory>& out) override;
  Status place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
               std::shared_ptr<Memory>& out) override;
  size_t workspaceBytes() const override { return workspaceBytes_.load(std::memory_order_relaxed); }
  uint32_t packedLayout() const override { return kPackedLayout; }
  Status load(const Program& program, std::unique_ptr<Executable>& out) override;
  Ticket submit(const Submission& submission) override;
  Outcome wait(Ticket) override { return std::move(outcome_); }

 private:
  friend class CpuExecutable;
  Status makeRoom(const CpuExecutable& executable);
  void forget(const CpuExecutable& executable);
  void count();
  Status run(CpuExecutable& executable, const Submission& submission);

  const Target& target_;
  ThreadPool& pool_;
  const uint32_t threads_;
  std::vector<CpuExecutable*> executables_;
  // Arena and the kernels' workspace: as large as the largest that any executable has needed and is still there.
  std::shared_ptr<HostMemory> arena_, scratch_, shared_;
  size_t scratchBytes_ = 0;  // of one thread
  std::atomic<size_t> workspaceBytes_{0};

  // Of the run.
  Outcome outcome_;
  bool byRow_ = false;
  std::atomic<uint64_t> failure_{0};                // the first; 0 is none
  std::vector<std::atomic<uint64_t>> rowFailures_;  // by row; grown when a program is loaded
};

}  // namespace quipu::cpu

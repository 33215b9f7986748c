// A program made ready for a GPU: the launches of its ops, captured as a graph for each number of rows that comes up
// often.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "core/backend.h"
#include "cuda/memory.h"
#include "cuda/op_call.h"

namespace quipu::cuda {

// Memory that the programs of a device share, as they run one after another: arena, then workspace of an op. It grows
// to what the largest needs; what was captured with the old one is captured anew.
class SharedArena {
 public:
  // Nothing may be in flight. Both are of any program at most.
  Status reserve(size_t arenaBytes, size_t workspaceBytes);
  std::byte* arena() const { return data_.get(); }
  std::byte* workspace() const { return data_.get() + arenaBytes_; }
  size_t bytes() const { return arenaBytes_ + workspaceBytes_; }
  uint64_t generation() const { return generation_; }

 private:
  DeviceBytes data_;
  size_t arenaBytes_ = 0, workspaceBytes_ = 0;
  uint64_t generation_ = 0;
};

class CudaExecutable final : public Executable {
 public:
  ~CudaExecutable() override;

  // Nothing may be in flight.
  Status load(const Program& program, SharedArena& arena, const Gpu& gpu);
  // Enqueues the ops for so many rows.
  Status enqueue(const RowCounts& counts, cudaStream_t stream);

  RunState* state() const { return reinterpret_cast<RunState*>(state_.get()); }
  // Of the run's state, with room for all rows that may fail.
  size_t stateBytes() const { return stateBytes_; }

 private:
  struct Step {
    const char* name;
    const OpKernels* kernels;
    OpCall call;
    std::vector<View> operands;
    std::vector<Leading> leading;
    std::vector<size_t> arenaOffsets;  // SIZE_MAX: not in the arena
  };
  struct Captured {
    RowCounts counts;
    cudaGraphExec_t graph;
  };

  void resolve();
  void setCounts(const RowCounts& counts);
  void forgetGraphs();
  Status launchAll(cudaStream_t stream);
  Status capture(const RowCounts& counts, cudaStream_t stream);

  SharedArena* arena_ = nullptr;
  Gpu gpu_ = {};
  uint64_t generation_ = 0;
  std::vector<Step> steps_;
  DeviceBytes state_;
  size_t stateBytes_ = 0;
  std::list<Captured> graphs_;  // the last used first
};

}  // namespace quipu::cuda

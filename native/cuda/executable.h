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

// Bytes of a program's arena, of the workspace of that of its ops which wants most, and of what a run comes to.
struct ArenaSizes {
  size_t arena = 0, workspace = 0, state = 0;

  // By the shapes and types of its capacity alone: its memory may be absent, and no GPU need be there.
  static Status of(const Program& program, ArenaSizes& out);
};

// Memory that the programs of a device share, as they run one after another. It grows to what the largest needs; what
// was captured with the old one is captured anew.
class SharedArena {
 public:
  bool holds(const ArenaSizes& sizes) const;
  // Nothing may be in flight. What is there goes first, so that both need not fit; where the system refuses, nothing is
  // left.
  Status reserve(const ArenaSizes& sizes);
  std::byte* arena() const { return data_.get(); }
  std::byte* workspace() const { return data_.get() + sizes_.arena; }
  RunState* state() const { return reinterpret_cast<RunState*>(data_.get() + sizes_.arena + sizes_.workspace); }
  size_t bytes() const { return plus(plus(sizes_.arena, sizes_.workspace), sizes_.state); }
  uint64_t generation() const { return generation_; }

 private:
  DeviceBytes data_;
  ArenaSizes sizes_;
  uint64_t generation_ = 0;
};

class CudaExecutable final : public Executable {
 public:
  ~CudaExecutable() override;

  Status load(const Program& program, const SharedArena& arena, const Gpu& gpu);
  // What the arena must hold for its runs.
  const ArenaSizes& sizes() const { return sizes_; }
  // Enqueues the ops for so many rows.
  Status enqueue(const RowCounts& counts, cudaStream_t stream);

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

  const SharedArena* arena_ = nullptr;
  Gpu gpu_ = {};
  uint64_t generation_ = 0;
  ArenaSizes sizes_;
  std::vector<Step> steps_;
  std::list<Captured> graphs_;  // the last used first
};

}  // namespace quipu::cuda

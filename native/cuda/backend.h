// The CUDA device: one GPU, one stream. Its memory is the GPU's own, programs are launches or graphs of them, and two
// runs may be in flight: while one is computed, what the next one reads is copied to pinned memory beside it.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/backend.h"
#include "cuda/executable.h"

namespace quipu::cuda {

class CudaBackend final : public Backend {
 public:
  // GPU `index` of those that the driver shows. ERR_DEVICE_UNAVAILABLE says what was tried.
  static Status open(uint32_t index, std::unique_ptr<Backend>& out);
  ~CudaBackend() override;

  Status allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<Memory>& out) override;
  Status place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
               std::shared_ptr<Memory>& out) override;
  // bf16 becomes f16 and a power of two a row (kernels/scaled_half.h).
  Status placeMatrix(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
                     DType dtype, uint32_t rows, uint32_t columns, std::shared_ptr<Memory>& out) override;
  Status upload(std::span<const uint8_t> bytes, DType dtype, uint32_t rows, uint32_t columns,
                std::shared_ptr<Memory>& out) override;
  size_t freeBytes() const override;
  size_t workspaceBytes() const override { return arenaBytes_.load(std::memory_order_relaxed); }
  Status load(const Program& program, std::unique_ptr<Executable>& out) override;
  Ticket submit(const Submission& submission) override;
  Outcome wait(Ticket ticket) override;
  uint32_t inFlight() const override { return kFlights; }

 private:
  static constexpr uint32_t kFlights = 2;

  // What a run is copied through, both ways: the state that it begins with, writes, then reads and the state that it
  // left.
  struct Flight {
    std::optional<Submission> submission;
    Status status;
    cudaEvent_t done = nullptr;
    PinnedBytes staging;
    size_t stagingBytes = 0, readsAt = 0, stateBytes = 0;
  };

  explicit CudaBackend(uint32_t index) : index_(index) {}
  Status start();
  Status copyUp(const std::byte* from, size_t bytes, std::byte* to);
  Status makeRoom(const ArenaSizes& sizes);
  Status begin(Flight& flight);
  Outcome end(Flight& flight);

  const uint32_t index_;
  Gpu gpu_ = {1, 0};
  cudaStream_t stream_ = nullptr;
  Flight flights_[kFlights];
  Ticket submitted_ = 0, ended_ = 0;
  SharedArena arena_;
  std::atomic<size_t> arenaBytes_{0};
  std::mutex uploading_;  // of what is placed and zeroed, on any thread
  cudaStream_t uploads_ = nullptr;
  cudaEvent_t uploaded_[2] = {};  // each half of what it goes through
  PinnedBytes upload_;
};

}  // namespace quipu::cuda

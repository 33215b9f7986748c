// The reference device: every op in float64, one after another, on a thread of its own. Its memory is copies, its runs
// are done behind submit(), and two of them may be in flight: what a GPU's would be, with arithmetic that can be read.
#pragma once

#include <atomic>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/backend.h"
#include "reference/kernels.h"

namespace quipu::reference {

class ReferenceBackend final : public Backend {
 public:
  // Fails where the system refuses a thread.
  static Status start(std::unique_ptr<Backend>& out);
  ~ReferenceBackend() override;

  Status allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<Memory>& out) override;
  Status place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
               std::shared_ptr<Memory>& out) override;
  size_t workspaceBytes() const override { return arenaBytes_.load(std::memory_order_relaxed); }
  Status load(const Program& program, std::unique_ptr<Executable>& out) override;
  Ticket submit(const Submission& submission) override;
  Outcome wait(Ticket ticket) override;
  uint32_t inFlight() const override { return 2; }

 private:
  struct Flight {
    Submission submission;
    Outcome outcome;
    bool done = false;
  };

  ReferenceBackend() = default;
  void loop();

  std::atomic<size_t> arenaBytes_{0};  // of all executables: each has its own
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Flight> flights_;  // in order
  Ticket tickets_ = 0;
  bool closing_ = false;
  std::vector<std::thread> thread_;
};

}  // namespace quipu::reference

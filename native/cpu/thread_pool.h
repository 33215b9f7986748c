// The threads of a CPU device. A run is "single program, multiple data": every thread walks the same list of ops and
// meets the others at barriers, so a token of hundreds of ops wakes the threads once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace quipu::cpu {

class ThreadPool {
 public:
  explicit ThreadPool(uint32_t threads);  // the calling thread of run() is one of them
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  uint32_t size() const { return size_; }

  // Calls body(index) once on every thread, 0 being the caller, and returns when all have.
  void run(const std::function<void(uint32_t)>& body);

 private:
  void loop(uint32_t index);

  const uint32_t size_;
  const std::function<void(uint32_t)>* body_ = nullptr;
  std::atomic<uint32_t> generation_{0};
  std::atomic<uint32_t> busy_{0};
  std::atomic<bool> closing_{false};
  std::vector<std::thread> threads_;
};

// Where the threads of one run meet and share out tasks. All members are used by all threads.
class Team {
 public:
  explicit Team(uint32_t threads) : threads_(threads) {}

  size_t next(size_t tasks) {
    if (cancelled_->load(std::memory_order_relaxed)) return tasks;
    const size_t task = counter_.fetch_add(1, std::memory_order_relaxed);
    return task < tasks ? task : tasks;
  }
  // Waits for all threads and starts task numbers anew. False: the run is to end.
  bool barrier();
  void fail(uint32_t failure) {  // 0 is no failure; the first one stays
    uint32_t none = 0;
    failure_.compare_exchange_strong(none, failure, std::memory_order_relaxed);
  }
  uint32_t failure() const { return failure_.load(std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_->load(std::memory_order_relaxed); }
  void begin(const std::atomic<bool>& cancelled);

 private:
  const uint32_t threads_;
  const std::atomic<bool>* cancelled_ = nullptr;
  alignas(64) std::atomic<size_t> counter_{0};
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
  bool stop_ = false;  // written by the last to arrive, read after the phase has changed
  std::atomic<uint32_t> failure_{0};
};

// Threads that the machine gives this process: the affinity mask, cut to the quota of its cgroup. At least 1.
uint32_t availableThreads();

}  // namespace quipu::cpu

// The threads of all CPU devices of a process. They are started when a device asks for them and serve until the last
// device is gone; a run has as many of them as its device asked for.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "cpu/team.h"
#include "cpu/team_size.h"

namespace quipu::cpu {

// Atomics and sleep of the system.
struct System {
  template <typename T>
  using Atomic = std::atomic<T>;

  // Rounds of waiting on the core before a thread sleeps in the kernel. A wake-up costs many times what a small op
  // does; but where another program needs the core, spinning on is what starves the thread that is waited for.
  static constexpr uint32_t kSpins = 2000;
  static void pause();
  static void wait(const std::atomic<uint32_t>& value, uint32_t old) { value.wait(old); }
  static void wake(std::atomic<uint32_t>& value) { value.notify_one(); }
};

using ThreadTeam = Team<System>;

class ThreadPool {
 public:
  ThreadPool() = default;
  ~ThreadPool();  // joins; no run is under way
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Has `threads` threads, the caller of run() among them, or as many as the system lets it start; returns how many a
  // run may use. Calls exclude each other; a run may be under way.
  uint32_t grow(uint32_t threads);

  // Team::run with up to `threads` of those that grow() has promised: fewer where others keep the processors busy.
  // `identity` is the same for runs that do the same work; where it is not, a trial of the team's size misleads.
  void run(ThreadTeam::Work& work, uint64_t identity, uint32_t phases, uint32_t threads,
           const std::atomic<bool>& cancelled);

 private:
  double processorTime(uint32_t threads);

  ThreadTeam team_;
  TeamSize size_;
  double lastEnd_ = 0;  // of the run before
  std::vector<std::thread> threads_;
  // Of all threads, by number. A run reads those that grow() promised before the run was asked for.
  const std::unique_ptr<clockid_t[]> clocks_{new clockid_t[ThreadTeam::kMaxThreads]};
};

}  // namespace quipu::cpu

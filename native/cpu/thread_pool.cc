#include "cpu/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "core/thread.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quipu::cpu {

namespace {

constexpr double kSoon = 0.020;  // seconds between two runs up to which they are steps of one caller

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The processor time of a thread, or, where the system cannot tell, a clock that suspects nothing.
clockid_t clockOf([[maybe_unused]] std::thread& thread) {
#if defined(__linux__)
  clockid_t clock;
  if (pthread_getcpuclockid(thread.native_handle(), &clock) == 0) return clock;
#endif
  return CLOCK_MONOTONIC;
}

}  // namespace

void System::pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

ThreadPool::~ThreadPool() {
  team_.close();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(ThreadTeam::Work& work, uint64_t identity, uint32_t phases, uint32_t threads,
                     const std::atomic<bool>& cancelled) {
  const double start = seconds();
  team_.run(work, phases, size_.choose(threads), cancelled);
  if (cancelled.load(std::memory_order_relaxed)) return;
  const double end = seconds();
  const double since = start - lastEnd_ < kSoon ? lastEnd_ : start;
  lastEnd_ = end;
  size_.ran(identity, threads, end - start, end - since, end, [this](uint32_t count) { return processorTime(count); });
}

double ThreadPool::processorTime(uint32_t threads) {
  clocks_[0] = CLOCK_THREAD_CPUTIME_ID;
  double sum = 0;
  for (uint32_t thread = 0; thread < threads; ++thread) {
    timespec time = {};
    clock_gettime(clocks_[thread], &time);
    sum += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  return sum;
}

uint32_t ThreadPool::grow(uint32_t threads) {
  threads = std::min(threads, ThreadTeam::kMaxThreads);
  while (threads_.size() + 1 < threads) {
    const auto index = static_cast<uint32_t>(threads_.size()) + 1;
    if (!startThread(threads_, [this, index] { team_.serve(index); })) break;
    clocks_[index] = clockOf(threads_.back());
  }
  return std::min(threads, static_cast<uint32_t>(threads_.size()) + 1);
}

}  // namespace quipu::cpu

#include "cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quipu::cpu {

namespace {

// Rounds of waiting on the core before the thread sleeps in the kernel. A wake-up costs tens of microseconds, an op as
// little as one; but where another program needs the core, spinning on is what starves the thread that is waited for.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// Waits until `value` is no longer `old`.
void await(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(uint32_t threads) : size_(std::max(threads, 1u)) {
  threads_.reserve(size_ - 1);
  for (uint32_t index = 1; index < size_; ++index) threads_.emplace_back([this, index] { loop(index); });
}

ThreadPool::~ThreadPool() {
  closing_.store(true, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run(const std::function<void(uint32_t)>& body) {
  body_ = &body;
  busy_.store(size_ - 1, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  body(0);
  for (uint32_t left = busy_.load(std::memory_order_acquire); left != 0; left = busy_.load(std::memory_order_acquire)) {
    await(busy_, left);
  }
}

void ThreadPool::loop(uint32_t index) {
  uint32_t seen = 0;
  for (;;) {
    await(generation_, seen);
    seen = generation_.load(std::memory_order_acquire);
    if (closing_.load(std::memory_order_relaxed)) return;
    (*body_)(index);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_all();
  }
}

void Team::begin(const std::atomic<bool>& cancelled) {
  cancelled_ = &cancelled;
  counter_.store(0, std::memory_order_relaxed);
  failure_.store(0, std::memory_order_relaxed);
  stop_ = false;
}

bool Team::barrier() {
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    counter_.store(0, std::memory_order_relaxed);
    stop_ = cancelled() || failure() != 0;
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
  } else {
    await(phase_, phase);
  }
  return !stop_;
}

uint32_t availableThreads() {
  uint32_t threads = std::max(std::thread::hardware_concurrency(), 1u);
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) threads = static_cast<uint32_t>(CPU_COUNT(&set));
  std::ifstream file("/sys/fs/cgroup/cpu.max");  // "quota period" in microseconds, or "max period"
  std::string quota;
  double period = 0;
  if (file >> quota >> period && quota != "max" && period > 0) {
    const double cores = std::ceil(std::strtod(quota.c_str(), nullptr) / period);
    if (cores >= 1 && cores < threads) threads = static_cast<uint32_t>(cores);
  }
#endif
  return std::max(threads, 1u);
}

}  // namespace quipu::cpu

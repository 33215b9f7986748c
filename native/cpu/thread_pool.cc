#include "cpu/thread_pool.h"

#include <algorithm>

#include "core/thread.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quipu::cpu {

void System::pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

ThreadPool::~ThreadPool() {
  team_.close();
  for (std::thread& thread : threads_) thread.join();
}

uint32_t ThreadPool::grow(uint32_t threads) {
  threads = std::min(threads, ThreadTeam::kMaxThreads);
  while (threads_.size() + 1 < threads) {
    const auto index = static_cast<uint32_t>(threads_.size()) + 1;
    if (!startThread(threads_, [this, index] { team_.serve(index); })) break;
  }
  return std::min(threads, static_cast<uint32_t>(threads_.size()) + 1);
}

}  // namespace quipu::cpu

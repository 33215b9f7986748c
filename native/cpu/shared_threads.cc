#include "cpu/shared_threads.h"

#include <mutex>

namespace quipu::cpu {

Status SharedThreads::open(uint32_t& threads, std::shared_ptr<SharedThreads>& out) {
  static std::mutex mutex;
  static std::weak_ptr<SharedThreads> shared;
  const std::lock_guard lock(mutex);
  out = shared.lock();
  if (out == nullptr) {
    auto started = std::make_shared<SharedThreads>();
    if (Status status = RunQueue::start(started->queue_); !status.ok()) return status;
    shared = out = std::move(started);
  }
  threads = out->pool_.grow(threads);
  return {};
}

}  // namespace quipu::cpu

// What all CPU devices of a process have in common, whatever environment (main thread or worker) they are opened in:
// the threads, and the queue whose thread is the first of them.
#pragma once

#include <cstdint>
#include <memory>

#include "core/run_queue.h"
#include "cpu/thread_pool.h"

namespace quipu::cpu {

class SharedThreads {
 public:
  // Joins the others; starts them where no device is open. `threads` is what the caller wants, and then what it gets:
  // fewer where the system refuses some. Fails where it refuses even the queue's. The threads end with the last
  // reference, which must not be dropped on one of them.
  static Status open(uint32_t& threads, std::shared_ptr<SharedThreads>& out);

  ThreadPool& pool() { return pool_; }
  RunQueue& queue() { return *queue_; }

 private:
  ThreadPool pool_;
  std::unique_ptr<RunQueue> queue_;  // ends before the pool that its thread runs on
};

}  // namespace quipu::cpu

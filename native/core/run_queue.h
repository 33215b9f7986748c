// The run queue of a device: one thread, first in first out. Callers hand in jobs and are told on that thread when each
// is done; the thread of the caller never waits.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/backend.h"

namespace quipu {

// Set by any thread to end a run early; shared by the caller and the job.
struct CancelFlag {
  std::atomic<bool> cancelled{false};
};

struct BufferWrite {
  std::shared_ptr<Buffer> buffer;
  size_t offset;
  std::vector<std::byte> data;  // already checked with Buffer::checkWrite
};

struct BufferRead {
  std::shared_ptr<Buffer> buffer;
  size_t offset;
  std::vector<std::byte> data;  // filled by the job
};

struct Job {
  std::shared_ptr<const Program> program;  // may be null: only writes and reads
  std::vector<BufferWrite> writes;
  std::vector<BufferRead> reads;
  std::shared_ptr<CancelFlag> cancel;
  Status status;
  std::function<void(std::shared_ptr<Job>)> done;  // called on the queue's thread, or by cancel()
};

class RunQueue {
 public:
  explicit RunQueue(std::unique_ptr<Backend> backend);
  ~RunQueue();  // cancels what runs and what waits, then joins

  void push(std::shared_ptr<Job> job);
  // Ends the jobs of `flag`: one that waits never starts and is done at once, one that runs ends soon.
  void cancel(CancelFlag& flag);
  size_t workspaceBytes() const { return workspaceBytes_.load(std::memory_order_relaxed); }

 private:
  void loop();
  void execute(Job& job);

  std::unique_ptr<Backend> backend_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> jobs_;
  std::shared_ptr<Job> running_;
  bool closing_ = false;
  std::atomic<size_t> workspaceBytes_{0};
  std::thread thread_;
};

}  // namespace quipu

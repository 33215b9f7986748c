// The run queue of all CPU devices of a process: one thread, first in first out. Callers hand in jobs and are told on
// that thread when each is done; the thread of the caller never waits.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
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
  Backend* backend = nullptr;              // outlives the job: RunQueue::leave
  std::shared_ptr<const Program> program;  // may be null: only writes and reads
  std::vector<BufferWrite> writes;
  std::vector<BufferRead> reads;
  std::shared_ptr<CancelFlag> cancel;
  Status status;
  double idle = 0;                // milliseconds that the queue was empty before it came
  double started = 0, ended = 0;  // milliseconds on a clock that only goes forward; 0 where it never started
  std::function<void(std::shared_ptr<Job>)> done;  // called on the queue's thread, or by cancel() or leave()
};

class RunQueue {
 public:
  // Fails where the system refuses a thread.
  static Status start(std::unique_ptr<RunQueue>& out);
  ~RunQueue();  // joins; all backends have left
  RunQueue(const RunQueue&) = delete;
  RunQueue& operator=(const RunQueue&) = delete;

  void push(std::shared_ptr<Job> job);
  // Ends the jobs of `flag`: one that waits never starts and is done at once, one that runs ends soon.
  void cancel(CancelFlag& flag);
  // Ends all jobs of `backend`, and returns when none of them runs; those of others go on.
  void leave(const Backend& backend);

 private:
  RunQueue() = default;
  void loop();
  void execute(Job& job);
  // Takes the waiting jobs out that `which` names and says that they never started. Takes no memory: a device must be
  // able to go when there is none.
  template <typename Which>
  void drop(std::unique_lock<std::mutex>& lock, Which which);

  std::mutex mutex_;
  std::condition_variable wake_;  // a job has come, or the end
  std::condition_variable ran_;   // no job runs
  std::list<std::shared_ptr<Job>> jobs_;
  const Job* running_ = nullptr;  // until its caller has been told that it is done
  bool closing_ = false;
  std::vector<std::thread> thread_;
};

}  // namespace quipu

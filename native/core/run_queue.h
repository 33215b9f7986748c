// The queue of runs: one thread, first in first out, for all CPU devices of a process, or for a device of another kind.
// Callers hand in jobs and are told on that thread when each is done; the thread of the caller never waits.
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

class LoadedProgram;

struct Job {
  Backend* backend = nullptr;              // outlives the job: RunQueue::end
  std::shared_ptr<LoadedProgram> program;  // may be null: only writes and reads
  RowCounts counts;                        // that the program fits
  std::vector<MemoryWrite> writes;
  std::vector<MemoryRead> reads;
  std::shared_ptr<CancelFlag> cancel;
  bool byRow = false;
  Outcome outcome;
  double idle = 0;                // milliseconds that the queue was empty before it came
  double started = 0, ended = 0;  // milliseconds on a clock that only goes forward; 0 where it never started
  // Called once, on the queue's thread or by cancel() or end(). The queue holds the job no longer.
  std::function<void()> done;

 private:
  friend class RunQueue;
  Ticket ticket_ = 0;
};

class RunQueue {
 public:
  // Fails where the system refuses a thread.
  static Status start(std::unique_ptr<RunQueue>& out);
  ~RunQueue();  // joins; all backends are retired
  RunQueue(const RunQueue&) = delete;
  RunQueue& operator=(const RunQueue&) = delete;

  void push(std::shared_ptr<Job> job);
  // Ends the jobs of `flag`: one that waits never starts and is done at once, one that runs ends soon.
  void cancel(CancelFlag& flag);
  // Ends all jobs of `backend`, and returns when none of them runs; those of others go on.
  void end(const Backend& backend);
  // Have the queue's thread destroy it, between runs: executables, then backends that have ended. Take no memory.
  void retire(std::unique_ptr<Executable> executable);
  void retire(std::unique_ptr<Backend> backend);

 private:
  RunQueue() = default;
  void loop();
  // What is there to do, in this order; false where it is nothing. All let go of the lock while they do it.
  bool destroyRetired(std::unique_lock<std::mutex>& lock);
  bool startNext(std::unique_lock<std::mutex>& lock);
  bool finishOldest(std::unique_lock<std::mutex>& lock);
  // Takes the waiting jobs out that `which` names and says that they never started. Takes no memory: a device must be
  // able to go when there is none.
  template <typename Which>
  void drop(std::unique_lock<std::mutex>& lock, Which which);

  std::mutex mutex_;
  std::condition_variable wake_;  // there is something to do
  std::condition_variable told_;  // a caller has been told that its job is done
  std::list<std::shared_ptr<Job>> waiting_, flights_;
  const Backend* telling_ = nullptr;  // whose caller is being told
  std::unique_ptr<Executable> retired_;
  std::unique_ptr<Backend> retiredBackends_;
  bool closing_ = false;
  double idle_ = 0;     // milliseconds since the last job was done
  double lastEnd_ = 0;  // of the last job, on the clock of Job::ended
  std::vector<std::thread> thread_;
};

}  // namespace quipu

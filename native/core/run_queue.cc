#include "core/run_queue.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include "core/device.h"
#include "core/thread.h"

namespace quipu {

namespace {

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Status neverStarted() { return Status::error(ErrorCode::kAborted, "the run was cancelled before it started"); }

// Calls what may throw on this thread, which must not. Where memory is out there is none for words either.
template <typename Call>
Status guarded(Call call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return {ErrorCode::kOutOfMemory, {}};
  } catch (const std::exception& error) {
    return Status::error(ErrorCode::kInternal, error.what());
  }
}

// The caller may destroy the job as soon as it is told, so the queue lets go of it first.
void tell(std::list<std::shared_ptr<Job>>& jobs) {
  while (!jobs.empty()) {
    const std::function<void()> done = std::move(jobs.front()->done);
    jobs.pop_front();
    done();
  }
}

}  // namespace

Status RunQueue::start(std::unique_ptr<RunQueue>& out) {
  std::unique_ptr<RunQueue> queue(new RunQueue());
  if (!startThread(queue->thread_, [raw = queue.get()] { raw->loop(); })) return threadRefused();
  out = std::move(queue);
  return {};
}

RunQueue::~RunQueue() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  for (std::thread& thread : thread_) thread.join();
}

void RunQueue::push(std::shared_ptr<Job> job) {
  job->outcome.status = neverStarted();  // until it does: to end it then takes no memory
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  wake_.notify_one();
}

template <typename Which>
void RunQueue::drop(std::unique_lock<std::mutex>& lock, Which which) {
  std::list<std::shared_ptr<Job>> dropped;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const auto job = at++;
    if (which(**job)) dropped.splice(dropped.end(), waiting_, job);
  }
  lock.unlock();
  tell(dropped);
}

void RunQueue::cancel(CancelFlag& flag) {
  std::unique_lock lock(mutex_);
  flag.cancelled = true;
  drop(lock, [&](const Job& job) { return job.cancel.get() == &flag; });
}

void RunQueue::end(const Backend& backend) {
  std::unique_lock lock(mutex_);
  for (const auto& job : flights_) {
    if (job->backend == &backend) job->cancel->cancelled = true;
  }
  drop(lock, [&](const Job& job) { return job.backend == &backend; });
  lock.lock();
  told_.wait(lock, [&] {  // all flights are of one backend
    return telling_ != &backend && (flights_.empty() || flights_.front()->backend != &backend);
  });
}

void RunQueue::retire(std::unique_ptr<Executable> executable) {
  {
    const std::lock_guard lock(mutex_);
    executable->next_ = std::move(retired_);
    retired_ = std::move(executable);
  }
  wake_.notify_one();
}

void RunQueue::retire(std::unique_ptr<Backend> backend) {
  {
    const std::lock_guard lock(mutex_);
    backend->next_ = std::move(retiredBackends_);
    retiredBackends_ = std::move(backend);
  }
  wake_.notify_one();
}

void RunQueue::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (destroyRetired(lock) || startNext(lock) || finishOldest(lock)) continue;
    if (closing_) return;
    const double before = now();
    wake_.wait(lock);
    idle_ += now() - before;
  }
}

bool RunQueue::destroyRetired(std::unique_lock<std::mutex>& lock) {
  if (retired_ == nullptr && retiredBackends_ == nullptr) return false;
  std::unique_ptr<Executable> executables = std::move(retired_);
  std::unique_ptr<Backend> backends = std::move(retiredBackends_);
  lock.unlock();
  // One by one: a destructor that calls that of the next goes as deep as there are.
  while (executables != nullptr) executables = std::move(executables->next_);
  while (backends != nullptr) backends = std::move(backends->next_);
  lock.lock();
  return true;
}

bool RunQueue::startNext(std::unique_lock<std::mutex>& lock) {
  if (waiting_.empty()) return false;
  Job& job = *waiting_.front();
  if (!flights_.empty() && (flights_.front()->backend != job.backend || flights_.size() >= job.backend->inFlight()))
    return false;
  flights_.splice(flights_.end(), waiting_, waiting_.begin());
  if (job.cancel->cancelled) return true;  // by whoever holds the flag: it never starts
  job.outcome.status = {};
  job.idle = std::exchange(idle_, 0);
  lock.unlock();
  job.started = now();
  job.outcome.status = guarded([&]() -> Status {
    Executable* executable = nullptr;
    if (job.program != nullptr) {
      if (Status status = job.program->load(*job.backend, executable); !status.ok()) return status;
    }
    job.ticket_ =
        job.backend->submit({executable, job.counts, job.writes, job.reads, job.cancel->cancelled, job.byRow});
    return {};
  });
  lock.lock();
  return true;
}

bool RunQueue::finishOldest(std::unique_lock<std::mutex>& lock) {
  if (flights_.empty()) return false;
  Job& job = *flights_.front();
  lock.unlock();
  if (job.outcome.status.ok()) {
    job.outcome.status = guarded([&]() -> Status {
      job.outcome = job.backend->wait(job.ticket_);
      if (job.outcome.failure != 0) return describe(failureOf(job.outcome.failure), job.program->program());
      return std::move(job.outcome.status);
    });
  }
  if (job.started != 0) {
    job.started = std::max(job.started, lastEnd_);  // it waited for the one before, if it was submitted earlier
    job.ended = lastEnd_ = now();
  }
  lock.lock();
  std::list<std::shared_ptr<Job>> finished;
  finished.splice(finished.end(), flights_, flights_.begin());
  telling_ = job.backend;
  lock.unlock();
  tell(finished);
  lock.lock();
  telling_ = nullptr;
  told_.notify_all();
  return true;
}

}  // namespace quipu

#include "core/run_queue.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>

#include "core/thread.h"

namespace quipu {

namespace {

double now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Status neverStarted() { return Status::error(ErrorCode::kAborted, "the run was cancelled before it started"); }

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
  job->status = neverStarted();  // until it does: to end it then takes no memory
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

template <typename Which>
void RunQueue::drop(std::unique_lock<std::mutex>& lock, Which which) {
  std::list<std::shared_ptr<Job>> dropped;
  for (auto at = jobs_.begin(); at != jobs_.end();) {
    const auto job = at++;
    if (which(**job)) dropped.splice(dropped.end(), jobs_, job);
  }
  lock.unlock();
  for (const auto& job : dropped) job->done(job);
}

void RunQueue::cancel(CancelFlag& flag) {
  std::unique_lock lock(mutex_);
  flag.cancelled = true;
  drop(lock, [&](const Job& job) { return job.cancel.get() == &flag; });
}

void RunQueue::leave(const Backend& backend) {
  std::unique_lock lock(mutex_);
  drop(lock, [&](const Job& job) { return job.backend == &backend; });
  lock.lock();
  const auto runs = [&] { return running_ != nullptr && running_->backend == &backend; };
  if (runs()) running_->cancel->cancelled = true;
  ran_.wait(lock, [&] { return !runs(); });
}

void RunQueue::loop() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      const double before = jobs_.empty() ? now() : 0;
      wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      job->idle = before == 0 ? 0 : now() - before;
      running_ = job.get();
    }
    job->started = now();
    try {
      execute(*job);
    } catch (const std::bad_alloc&) {
      job->status = Status::error(ErrorCode::kOutOfMemory, "not enough memory to prepare this run");
    } catch (const std::exception& error) {
      job->status = Status::error(ErrorCode::kInternal, error.what());
    }
    job->ended = now();
    job->done(job);
    {
      const std::lock_guard lock(mutex_);
      running_ = nullptr;
    }
    ran_.notify_all();
  }
}

void RunQueue::execute(Job& job) {
  if (job.cancel->cancelled) return;
  job.status = {};
  for (const BufferWrite& write : job.writes) {
    std::copy(write.data.begin(), write.data.end(), write.buffer->data() + write.offset);  // null where it is empty
  }
  if (job.program != nullptr) {
    job.status = job.backend->prepare(job.program);
    if (job.status.ok()) job.status = job.backend->run(job.cancel->cancelled);
  }
  if (!job.status.ok()) return;
  for (BufferRead& read : job.reads) {
    std::copy_n(read.buffer->data() + read.offset, read.data.size(), read.data.begin());
  }
}

}  // namespace quipu

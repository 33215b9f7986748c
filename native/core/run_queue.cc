#include "core/run_queue.h"

#include <algorithm>
#include <iterator>

namespace quipu {

namespace {

Status neverStarted() { return Status::error(ErrorCode::kAborted, "the run was cancelled before it started"); }

}  // namespace

RunQueue::RunQueue(std::unique_ptr<Backend> backend) : backend_(std::move(backend)), thread_([this] { loop(); }) {}

RunQueue::~RunQueue() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    if (running_ != nullptr) running_->cancel->cancelled = true;
    for (const auto& job : jobs_) job->cancel->cancelled = true;
  }
  wake_.notify_one();
  thread_.join();
}

void RunQueue::push(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void RunQueue::cancel(CancelFlag& flag) {
  std::vector<std::shared_ptr<Job>> dropped;
  {
    const std::lock_guard lock(mutex_);
    flag.cancelled = true;
    const auto first = std::stable_partition(
        jobs_.begin(), jobs_.end(), [&](const std::shared_ptr<Job>& job) { return job->cancel.get() != &flag; });
    std::move(first, jobs_.end(), std::back_inserter(dropped));
    jobs_.erase(first, jobs_.end());
  }
  for (const auto& job : dropped) {
    job->status = neverStarted();
    job->done(job);
  }
}

void RunQueue::loop() {
  for (;;) {
    std::shared_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
      running_ = job;
    }
    execute(*job);
    {
      const std::lock_guard lock(mutex_);
      running_.reset();
    }
    workspaceBytes_.store(backend_->workspaceBytes(), std::memory_order_relaxed);
    job->done(job);
  }
}

void RunQueue::execute(Job& job) {
  if (job.cancel->cancelled) {
    job.status = neverStarted();
    return;
  }
  for (const BufferWrite& write : job.writes) {
    std::copy(write.data.begin(), write.data.end(), write.buffer->data() + write.offset);  // null where it is empty
  }
  if (job.program != nullptr) {
    job.status = backend_->prepare(job.program);
    if (job.status.ok()) job.status = backend_->run(job.cancel->cancelled);
  }
  if (!job.status.ok()) return;
  for (BufferRead& read : job.reads) {
    std::copy_n(read.buffer->data() + read.offset, read.data.size(), read.data.begin());
  }
}

}  // namespace quipu

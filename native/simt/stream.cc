#include "simt/stream.h"

#include <algorithm>

#include "simt/machine_memory.h"
#include "simt/recording.h"
#include "simt/report.h"
#include "simt/settings.h"

namespace quipu::simt {

namespace {

// Odd seeds leave work lying until somebody waits.
bool isLazy() { return settings().seed % 2 == 1; }

bool isReady(const Op& op) {
  return std::all_of(op.after.begin(), op.after.end(), [](const auto& before) { return before->done; });
}

}  // namespace

Executor::Executor() : default_(std::make_unique<Stream>(true)), thread_([this] { loop(); }) { thread_.detach(); }

cudaError_t Executor::lost() {
  const Lock lock(mutex_);
  return lost_;
}

void Executor::reset() {
  Lock lock(mutex_);
  finished_.wait(lock, [this] { return !busy_; });
  lost_ = cudaSuccess;
  machineMemory().reset();
}

Stream* Executor::open(bool blocking) {
  const Lock lock(mutex_);
  return streams_.emplace_back(std::make_unique<Stream>(blocking)).get();
}

void Executor::close(Stream* stream) {
  const Lock lock(mutex_);
  stream->destroyed = true;
  if (!stream->queue.empty()) return;  // goes when its work is done
  std::erase_if(streams_, [=](const auto& s) { return s.get() == stream; });
}

bool Executor::knows(Stream* stream) {
  const Lock lock(mutex_);
  return stream == nullptr || std::any_of(streams_.begin(), streams_.end(),
                                          [=](const auto& s) { return s.get() == stream && !s->destroyed; });
}

std::shared_ptr<Op> Executor::addLocked(Stream& stream, Work work, std::vector<std::shared_ptr<Op>> after) {
  auto op = std::make_shared<Op>();
  op->work = std::move(work);
  op->after = std::move(after);
  if (lost_ != cudaSuccess) {
    op->done = true;
    return op;
  }
  if (&stream == default_.get()) {
    for (const auto& other : streams_) {
      if (other->blocking && other->last != nullptr) op->after.push_back(other->last);
    }
  } else if (stream.blocking && default_->last != nullptr) {
    op->after.push_back(default_->last);
  }
  stream.queue.push_back(op);
  stream.last = op;
  changed_.notify_all();
  return op;
}

cudaError_t Executor::add(Stream* stream, Work work, bool hostWaits, std::vector<std::shared_ptr<Op>> after) {
  Lock lock(mutex_);
  Stream& s = of(stream);
  if (s.capture != nullptr) {
    if (hostWaits || !after.empty()) {
      s.capture->invalid = true;
      return cudaErrorStreamCaptureUnsupported;
    }
    if (s.capture->invalid) return cudaErrorStreamCaptureInvalidated;
    s.capture->graph->nodes.push_back(std::move(work));
    return cudaSuccess;
  }
  const std::shared_ptr<Op> op = addLocked(s, std::move(work), std::move(after));
  return hostWaits ? waitLocked(lock, op) : lost_;
}

cudaError_t Executor::add(Stream* stream, const Graph& graph) {
  const Lock lock(mutex_);
  Stream& s = of(stream);
  if (s.capture != nullptr) {
    s.capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  // A graph overlaps with nothing before or behind it.
  addLocked(s, {nullptr, [] {}});
  for (const Work& node : graph.nodes) addLocked(s, node);
  addLocked(s, {nullptr, [] {}});
  return lost_;
}

cudaError_t Executor::record(Stream* stream, Event& event) {
  const Lock lock(mutex_);
  Stream& s = of(stream);
  if (s.capture != nullptr) {
    s.capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  event.op = addLocked(s, {nullptr, [] {}});
  return lost_;
}

cudaError_t Executor::waitLocked(Lock& lock, const std::shared_ptr<Op>& op) {
  ++waiting_;
  changed_.notify_all();
  finished_.wait(lock, [&] { return op->done; });
  --waiting_;
  return lost_;
}

cudaError_t Executor::waitFor(const std::shared_ptr<Op>& op) {
  Lock lock(mutex_);
  return op == nullptr ? lost_ : waitLocked(lock, op);
}

cudaError_t Executor::waitForStream(Stream* stream) {
  Lock lock(mutex_);
  Stream& s = of(stream);
  if (s.capture != nullptr) {
    s.capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  return s.last == nullptr ? lost_ : waitLocked(lock, s.last);
}

cudaError_t Executor::waitForAll() {
  Lock lock(mutex_);
  ++waiting_;
  changed_.notify_all();
  finished_.wait(lock, [this] {
    return !busy_ && default_->queue.empty() &&
           std::all_of(streams_.begin(), streams_.end(), [](const auto& s) { return s->queue.empty(); });
  });
  --waiting_;
  return lost_;
}

cudaError_t Executor::isDone(const std::shared_ptr<Op>& op) {
  const Lock lock(mutex_);
  if (op == nullptr || op->done) return lost_;
  ++queries_;
  changed_.notify_all();
  return cudaErrorNotReady;
}

cudaError_t Executor::isIdle(Stream* stream) {
  std::shared_ptr<Op> last;
  {
    const Lock lock(mutex_);
    last = of(stream).last;
  }
  return isDone(last);
}

cudaError_t Executor::beginCapture(Stream* stream, cudaStreamCaptureMode mode) {
  const Lock lock(mutex_);
  if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
  if (stream->capture != nullptr) return cudaErrorInvalidValue;
  stream->capture = std::make_unique<Capture>(Capture{mode, std::this_thread::get_id()});
  return cudaSuccess;
}

cudaError_t Executor::endCapture(Stream* stream, std::unique_ptr<Graph>& graph) {
  const Lock lock(mutex_);
  if (stream == nullptr || stream->capture == nullptr) return cudaErrorInvalidValue;
  const std::unique_ptr<Capture> capture = std::move(stream->capture);
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
    return cudaErrorStreamCaptureUnmatched;
  }
  if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
  graph = std::move(capture->graph);
  return cudaSuccess;
}

cudaStreamCaptureStatus Executor::captureOf(Stream* stream) {
  const Lock lock(mutex_);
  const Stream& s = of(stream);
  if (s.capture == nullptr) return cudaStreamCaptureStatusNone;
  return s.capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
}

cudaError_t Executor::refuseInCapture() {
  const Lock lock(mutex_);
  for (const auto& s : streams_) {
    if (s->capture == nullptr || s->capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (s->capture->mode == cudaStreamCaptureModeThreadLocal && s->capture->thread != std::this_thread::get_id())
      continue;
    s->capture->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  return cudaSuccess;
}

// A stream that can go on, if the device is to do anything now.
Stream* Executor::next() {
  if (isLazy() && waiting_ == 0 && queries_ == 0) return nullptr;
  std::vector<Stream*> ready;
  const auto look = [&](const std::unique_ptr<Stream>& s) {
    if (!s->queue.empty() && isReady(*s->queue.front())) ready.push_back(s.get());
  };
  look(default_);
  std::for_each(streams_.begin(), streams_.end(), look);
  if (ready.empty()) return nullptr;
  return ready[settings().seed == 0 ? 0 : random_.below(static_cast<uint32_t>(ready.size()))];
}

void Executor::loop() {
  Lock lock(mutex_);
  for (;;) {
    Stream* stream = next();
    if (stream == nullptr) {
      changed_.wait(lock);
      continue;
    }
    busy_ = true;
    if (queries_ > 0) --queries_;
    const std::shared_ptr<Op> op = stream->queue.front();
    if (op->work.launch != nullptr) {
      runKernels(lock, *stream);
    } else {
      stream->chain = 0;
      lock.unlock();
      op->work.other();
      lock.lock();
      endFront(*stream);
    }
    busy_ = false;
    if (stream->destroyed && stream->queue.empty()) {
      std::erase_if(streams_, [=](const auto& s) { return s.get() == stream; });
    }
    finished_.notify_all();
  }
}

// The kernel at the stream's head, and those behind it that overlap with it.
void Executor::runKernels(Lock& lock, Stream& stream) {
  if (const uint64_t loseAt = settings().loseAt; loseAt != 0 && launches_ + 1 == loseAt) {
    ++launches_;
    report("simt: the device is lost, as QUIPU_SIMT_LOSE has it");
    return lose();
  }
  size_t begun = 1;
  const auto successor = [&]() -> std::shared_ptr<const Launch> {
    const Lock inside(mutex_);
    if (stream.queue.size() <= begun) return nullptr;
    const Op& op = *stream.queue[begun];
    if (op.work.launch == nullptr || !op.work.launch->programmatic || !isReady(op)) return nullptr;
    ++begun;
    return op.work.launch;
  };
  const auto ended = [&] {
    const Lock inside(mutex_);
    --begun;
    ++launches_;
    endFront(stream);
  };
  const std::shared_ptr<const Launch> launch = stream.queue.front()->work.launch;
  lock.unlock();
  Recording recording(*launch);
  const bool fine = scheduler_.run(launch, successor, ended, stream.chain);
  if (fine) recording.end();
  lock.lock();
  if (!fine) lose();
}

void Executor::endFront(Stream& stream) {
  Op& op = *stream.queue.front();
  op.done = true;
  op.doneAt = std::chrono::steady_clock::now();
  op.after.clear();
  op.work = {};
  stream.queue.pop_front();
  finished_.notify_all();
}

void Executor::lose() {
  lost_ = cudaErrorLaunchFailure;
  const auto drop = [&](const std::unique_ptr<Stream>& s) {
    while (!s->queue.empty()) endFront(*s);
    s->chain = 0;
  };
  drop(default_);
  std::for_each(streams_.begin(), streams_.end(), drop);
  finished_.notify_all();
}

Executor& executor() {
  static auto* instance = new Executor();  // its thread outlives static objects
  return *instance;
}

}  // namespace quipu::simt

// Streams, events and graphs: work in the order in which it was given, by a thread that stands for the device.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "simt/grid.h"
#include "simt/host_api.h"
#include "simt/random.h"
#include "simt/scheduler.h"

namespace quipu::simt {

// What a stream does: a kernel, or something else.
struct Work {
  std::shared_ptr<const Launch> launch;
  std::function<void()> other;
};

struct Op {
  Work work;
  std::vector<std::shared_ptr<Op>> after;  // of other streams
  bool done = false;
  std::chrono::steady_clock::time_point doneAt;
};

struct Graph {
  std::vector<Work> nodes;
};

struct Capture {
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool invalid = false;
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
};

class Stream {
 public:
  explicit Stream(bool blocking) : blocking(blocking) {}

  const bool blocking;  // waits for the default stream, and is waited for by it
  std::deque<std::shared_ptr<Op>> queue;
  std::shared_ptr<Op> last;
  std::unique_ptr<Capture> capture;
  uint32_t chain = 0;  // Scheduler::run
  bool destroyed = false;
};

class Event {
 public:
  explicit Event(bool timed) : timed(timed) {}

  const bool timed;
  std::shared_ptr<Op> op;  // of its last record; null: none
};

// The devices' work. All of them share one thread; seeds choose which stream goes on, and whether work begins at once
// or only when somebody waits for it, so that a host that does not wait reads what is not there yet.
class Executor {
 public:
  Executor();

  // What ended all work, for good (until reset()), or cudaSuccess.
  cudaError_t lost();
  void reset();

  Stream* open(bool blocking);
  void close(Stream* stream);
  bool knows(Stream* stream);  // null is the default stream

  // Adds work behind what the stream has; in a capture, to its graph. `hostWaits`: also waits for it.
  cudaError_t add(Stream* stream, Work work, bool hostWaits = false, std::vector<std::shared_ptr<Op>> after = {});
  cudaError_t add(Stream* stream, const Graph& graph);
  cudaError_t record(Stream* stream, Event& event);
  cudaError_t waitFor(const std::shared_ptr<Op>& op);
  cudaError_t waitForStream(Stream* stream);
  cudaError_t waitForAll();
  // cudaErrorNotReady where it is not done; lets the device do something then.
  cudaError_t isDone(const std::shared_ptr<Op>& op);
  cudaError_t isIdle(Stream* stream);

  cudaError_t beginCapture(Stream* stream, cudaStreamCaptureMode mode);
  cudaError_t endCapture(Stream* stream, std::unique_ptr<Graph>& graph);
  cudaStreamCaptureStatus captureOf(Stream* stream);
  // For calls that no capture can take: an error where one is open that forbids them, and that capture is lost.
  cudaError_t refuseInCapture();

 private:
  using Lock = std::unique_lock<std::mutex>;
  Stream& of(Stream* stream) { return stream == nullptr ? *default_ : *stream; }
  std::shared_ptr<Op> addLocked(Stream& stream, Work work, std::vector<std::shared_ptr<Op>> after = {});
  cudaError_t waitLocked(Lock& lock, const std::shared_ptr<Op>& op);
  void loop();
  Stream* next();
  void runKernels(Lock& lock, Stream& stream);
  void endFront(Stream& stream);
  void lose();

  std::mutex mutex_;
  std::condition_variable changed_, finished_;
  std::unique_ptr<Stream> default_;
  std::vector<std::unique_ptr<Stream>> streams_;
  Scheduler scheduler_;
  Random random_{1};
  cudaError_t lost_ = cudaSuccess;
  uint64_t launches_ = 0;
  uint32_t waiting_ = 0;  // host threads
  uint32_t queries_ = 0;  // that allow one op each
  bool busy_ = false;
  std::thread thread_;
};

Executor& executor();

}  // namespace quipu::simt

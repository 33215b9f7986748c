#include "cpu/roofs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <latch>
#include <thread>
#include <vector>

#include "core/thread.h"
#include "cpu/host_memory.h"

namespace quipu::cpu {

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

const Status kStopped = Status::error(ErrorCode::kAborted, "the measurement was stopped");

// Calls body(thread) once on each of `threads` threads of their own, which begin together, and adds the seconds until
// all have returned. Starting them is not counted.
template <typename Body>
Status onThreads(uint32_t threads, double& time, const Body& body) {
  std::vector<std::thread> others;
  others.reserve(threads - 1);
  std::latch begin(1);
  std::atomic<bool> refused{false};
  while (others.size() + 1 < threads && !refused) {
    const auto index = static_cast<uint32_t>(others.size()) + 1;
    refused = !startThread(others, [&, index] {
      begin.wait();
      if (!refused) body(index);
    });
  }
  const double start = seconds();
  begin.count_down();
  if (!refused) body(0);
  for (std::thread& other : others) other.join();
  time = seconds() - start;
  return refused ? threadRefused() : Status();
}

// The shortest time that `passes` calls of onThreads took; those after a stop are left out.
template <typename Body>
Status best(uint32_t threads, uint32_t passes, const Stop& stop, double& shortest, const Body& body) {
  shortest = 1e300;
  for (uint32_t pass = 0; pass < passes && !stop(); ++pass) {
    double time = 0;
    if (Status status = onThreads(threads, time, body); !status.ok()) return status;
    shortest = std::min(shortest, time);
  }
  return {};
}

}  // namespace

Status measureReadBandwidth(const Target& target, uint32_t threads, size_t bytes, uint32_t passes, const Stop& stop,
                            double& bytesPerSecond) {
  const size_t share = bytes / threads / 4096 * 4096;
  std::shared_ptr<HostMemory> memory;
  if (Status status = HostMemory::allocate(share * threads, 0, false, memory); !status.ok()) return status;
  std::vector<uint64_t> sums(threads);
  double time = 0;
  // Every page is written first: pages never written are all one page of zeros, which stays in the cache.
  constexpr size_t kChunk = size_t{16} << 20;
  const auto touch = [&](uint32_t thread) {
    for (size_t start = 0; start < share && !stop(); start += kChunk) {
      memset(memory->data() + thread * share + start, static_cast<int>(thread) + 1, std::min(kChunk, share - start));
    }
  };
  if (Status status = onThreads(threads, time, touch); !status.ok()) return status;
  Status status = best(threads, passes, stop, time, [&](uint32_t thread) {
    sums[thread] += target.readLoop(memory->data() + thread * share, share);
  });
  if (!status.ok()) return status;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the sums count as used
  if (stop()) return kStopped;
  bytesPerSecond = static_cast<double>(share) * threads / time;
  return {};
}

Status measureMultiplyAdd(const Target& target, uint32_t threads, uint32_t passes, const Stop& stop,
                          double& operationsPerSecond) {
  std::vector<double> operations(threads);
  uint64_t iterations = 1000;
  double time = 0;
  const auto work = [&](uint32_t thread) { operations[thread] = target.multiplyAddLoop(iterations); };
  // Long enough that starting and joining the threads does not count.
  for (;; iterations *= 2) {
    if (Status status = best(threads, 1, stop, time, work); !status.ok()) return status;
    if (time >= 0.05) break;
  }
  if (Status status = best(threads, passes, stop, time, work); !status.ok()) return status;
  if (stop()) return kStopped;
  double total = 0;
  for (const double done : operations) total += done;
  operationsPerSecond = total / time;
  return {};
}

}  // namespace quipu::cpu

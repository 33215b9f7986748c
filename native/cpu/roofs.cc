#include "cpu/roofs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "core/buffer.h"
#include "cpu/thread_pool.h"

namespace quipu::cpu {

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

const Status kStopped = Status::error(ErrorCode::kAborted, "the measurement was stopped");

// The shortest time that `passes` calls of body(thread) on all threads took; those after a stop are left out.
double best(ThreadPool& pool, uint32_t passes, const Stop& stop, const std::function<void(uint32_t)>& body) {
  double shortest = 1e300;
  for (uint32_t pass = 0; pass < passes && !stop(); ++pass) {
    const double start = seconds();
    pool.run(body);
    shortest = std::min(shortest, seconds() - start);
  }
  return shortest;
}

}  // namespace

Status measureReadBandwidth(const Target& target, uint32_t threads, size_t bytes, uint32_t passes, const Stop& stop,
                            double& bytesPerSecond) {
  ThreadPool pool(threads);
  const size_t share = bytes / threads / 4096 * 4096;
  std::shared_ptr<Buffer> memory;
  if (Status status = Buffer::allocate(share * threads, 0, memory); !status.ok()) return status;
  std::vector<uint64_t> sums(threads);
  // Every page is written first: pages never written are all one page of zeros, which stays in the cache.
  constexpr size_t kChunk = size_t{16} << 20;
  for (size_t start = 0; start < share && !stop(); start += kChunk) {
    pool.run([&](uint32_t thread) {
      memset(memory->data() + thread * share + start, static_cast<int>(thread) + 1, std::min(kChunk, share - start));
    });
  }
  const double time = best(pool, passes, stop, [&](uint32_t thread) {
    sums[thread] += target.readLoop(memory->data() + thread * share, share);
  });
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the sums count as used
  if (stop()) return kStopped;
  bytesPerSecond = static_cast<double>(share) * threads / time;
  return {};
}

Status measureMultiplyAdd(const Target& target, uint32_t threads, uint32_t passes, const Stop& stop,
                          double& operationsPerSecond) {
  ThreadPool pool(threads);
  std::vector<double> operations(threads);
  uint64_t iterations = 1000;
  const auto work = [&](uint32_t thread) { operations[thread] = target.multiplyAddLoop(iterations); };
  // Long enough that starting and meeting the threads does not count.
  while (best(pool, 1, stop, work) < 0.05) iterations *= 2;
  const double time = best(pool, passes, stop, work);
  if (stop()) return kStopped;
  double total = 0;
  for (const double done : operations) total += done;
  operationsPerSecond = total / time;
  return {};
}

}  // namespace quipu::cpu

#include "cpu/roofs.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "core/thread.h"
#include "cpu/host_memory.h"

namespace quipu::cpu {

namespace {

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

const Status kStopped = Status::error(ErrorCode::kAborted, "the measurement was stopped");

// Calls body(thread) once on each of `threads` threads of their own, which begin together, and gives the seconds from
// the first one's begin until the last one's end. They wait for each other awake: to wake one takes as long as a
// percent of what is measured here, or much longer where others use the processors.
template <typename Body>
Status onThreads(uint32_t threads, double& time, const Body& body) {
  std::vector<std::thread> others;
  others.reserve(threads - 1);
  std::vector<double> begun(threads), ended(threads);
  std::atomic<uint32_t> there{0};
  std::atomic<bool> refused{false};
  const auto run = [&](uint32_t index) {
    there.fetch_add(1);
    while (there.load() < threads && !refused) std::this_thread::yield();
    if (refused) return;
    begun[index] = seconds();
    body(index);
    ended[index] = seconds();
  };
  while (others.size() + 1 < threads && !refused) {
    const auto index = static_cast<uint32_t>(others.size()) + 1;
    refused = !startThread(others, [&run, index] { run(index); });
  }
  if (!refused) run(0);
  for (std::thread& other : others) other.join();
  time = *std::max_element(ended.begin(), ended.end()) - *std::min_element(begun.begin(), begun.end());
  return refused ? threadRefused() : Status();
}

struct Pattern {
  uint32_t streams;
  size_t ahead;  // bytes
};

// As measured on Zen 3 to Zen 5: each of them is the best somewhere, by up to a third.
constexpr Pattern kPatterns[] = {{1, 512}, {1, 4096}, {2, 512}, {4, 2048}, {8, 512}};

// Memory anew that is asked for in small pages, as HostMemory is made, or in huge ones, which the system may refuse.
#ifdef MADV_HUGEPAGE
constexpr bool kHugePages[] = {false, true};

void renewPages(const HostMemory& memory, bool huge) {
  madvise(memory.data(), memory.bytes(), MADV_DONTNEED);
  madvise(memory.data(), memory.bytes(), huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}
#else
constexpr bool kHugePages[] = {false};

void renewPages(const HostMemory&, bool) {}
#endif

}  // namespace

Status measureReadBandwidth(const Target& target, uint32_t threads, size_t bytes, uint32_t passes, const Stop& stop,
                            double& bytesPerSecond) {
  // All of it at once, as long as a token of a model takes: the best of shorter reads is a third more than what can be
  // read for long where others use the memory too.
  const size_t share = bytes / threads / 4096 * 4096;
  std::shared_ptr<HostMemory> memory;
  if (Status status = HostMemory::allocate(share * threads, 0, false, memory); !status.ok()) return status;
  std::vector<uint64_t> sums(threads);
  double shortest = 1e300;
  // Every page is written first: pages never written are all one page of zeros, which stays in the cache.
  constexpr size_t kChunk = size_t{16} << 20;
  const auto touch = [&](uint32_t thread) {
    for (size_t start = 0; start < share && !stop(); start += kChunk) {
      memset(memory->data() + thread * share + start, static_cast<int>(thread) + 1, std::min(kChunk, share - start));
    }
  };
  for (const bool huge : kHugePages) {
    renewPages(*memory, huge);
    double time = 0;
    if (Status status = onThreads(threads, time, touch); !status.ok()) return status;
    for (uint32_t pass = 0; pass < passes; ++pass) {
      for (const Pattern& pattern : kPatterns) {  // by turns, as machines drift
        if (stop()) return kStopped;
        Status status = onThreads(threads, time, [&](uint32_t thread) {
          sums[thread] += target.readLoop(memory->data() + thread * share, share, pattern.streams, pattern.ahead);
        });
        if (!status.ok()) return status;
        shortest = std::min(shortest, time);
      }
    }
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the sums count as used
  bytesPerSecond = static_cast<double>(share) * threads / shortest;
  return {};
}

Status measureOperations(double (*loop)(uint64_t iterations), uint32_t threads, const Stop& stop,
                         double& operationsPerSecond) {
  constexpr int kRuns = 40;
  std::vector<double> operations(threads);
  uint64_t iterations = 1000;
  double time = 0;
  const auto work = [&](uint32_t thread) { operations[thread] = loop(iterations); };
  // Long enough for the clock, and short enough that others who use the processors leave some of the runs alone.
  for (;; iterations *= 2) {
    if (Status status = onThreads(threads, time, work); !status.ok()) return status;
    if (time >= 0.004 || stop()) break;
  }
  double shortest = time;
  for (int run = 0; run < kRuns && !stop(); ++run) {
    if (Status status = onThreads(threads, time, work); !status.ok()) return status;
    shortest = std::min(shortest, time);
  }
  if (stop()) return kStopped;
  double total = 0;
  for (const double done : operations) total += done;
  operationsPerSecond = total / shortest;
  return {};
}

}  // namespace quipu::cpu

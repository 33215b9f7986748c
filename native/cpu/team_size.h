// How many threads a run should have. Where others use the processors too, a thread that the system takes off in the
// middle of a task holds up the rest, and fewer threads are faster. What tells is the processor time that the threads
// get: where it is little more than one thread fewer could use, a trial with as many threads as it is worth is timed
// against the same work with all of them, and the faster size stays. A team that was cut is tried larger now and then.
//
// A trial that loses time is not repeated before fifty to a hundred times that loss is over (a minute at most, unless
// it is long by itself), so trials cost at most 2 %; where all threads are at work nothing is suspected and none is
// made.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace quipu::cpu {

class TeamSize {
 public:
  // Seconds of processor time that the first `threads` threads have used so far, in all.
  using ProcessorTime = std::function<double(uint32_t threads)>;

  // Threads for the next run of a device that asks for `asked`.
  uint32_t choose(uint32_t asked) const;

  // A run for a device that asked for `asked` threads was done at `now`. It took `seconds`, and `interval` since the
  // run before it, where it followed soon: what the caller does between steps has its share of the processors too. Runs
  // of equal `work` do the same. `processorTime` is called rarely.
  void ran(uint64_t work, uint32_t asked, double seconds, double interval, double now,
           const ProcessorTime& processorTime);

 private:
  // Runs that are measured together.
  struct Window {
    uint32_t runs = 0;
    uint32_t asked = 0;  // the most that one of them asked for
    double seconds = 0;
    double intervals = 0;
    double expected = 0;  // of a trial: what the same intervals are without it
  };
  // The interval of runs of some work with the size that is settled.
  struct Usual {
    uint64_t work = 0;
    uint32_t runs = 0;
    double interval = 0;
  };

  Usual& usualOf(uint64_t work);
  void measure(Usual& usual, uint32_t asked, double seconds, double interval, double now,
               const ProcessorTime& processorTime);
  bool isDecided() const;
  void settle(double now);

  uint32_t limit_ = UINT32_MAX;  // threads that a run may have at most
  uint32_t trial_ = 0;           // those that are tried in its place; 0: none are
  uint32_t threads_ = 0;         // of the runs in the window; 0: none is open
  Window window_;
  double unknown_ = 0;        // seconds of a trial in runs that nothing is known of to compare with
  double openedAt_ = 0;       // the window
  double processorTime_ = 0;  // when it was opened, and what is none of its runs' since
  std::array<Usual, 8> usual_;
  size_t replaced_ = 0;               // of usual_, the next one
  double shrinkAt_ = 0, growAt_ = 0;  // not before these times
  double patience_ = 0;               // seconds until the next trial, at least
};

}  // namespace quipu::cpu

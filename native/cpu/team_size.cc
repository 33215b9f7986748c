#include "cpu/team_size.h"

#include <algorithm>

namespace quipu::cpu {

namespace {

constexpr double kWindow = 0.010;      // in which threads are suspected: some time slices (3 ms) of the neighbours
constexpr double kTrial = 0.030;       // in which sizes are compared; a displaced thread is rarer than a run
constexpr uint32_t kRuns = 4;          // of either, at least
constexpr double kLongWindow = 0.100;  // enough however few the runs
constexpr double kMemory = 0.200;      // over which the usual interval is averaged, or 8 runs

constexpr double kSpare = 0.4;            // threads with less processor time than this beyond one fewer are suspected
constexpr double kPayback = 50;           // a trial may cost a fiftieth of the time until the next
constexpr double kFirstPatience = 0.050;  // doubled with each trial that was no faster
constexpr double kLastPatience = 2;
constexpr double kFaster = 0.97;  // of the usual time: what a larger team must stay below

bool enough(uint32_t runs, double seconds, double least) {
  return seconds >= least && (runs >= kRuns || seconds >= kLongWindow);
}

}  // namespace

uint32_t TeamSize::choose(uint32_t asked) const { return std::min(asked, trial_ != 0 ? trial_ : limit_); }

TeamSize::Usual& TeamSize::usualOf(uint64_t work) {
  for (Usual& usual : usual_) {
    if (usual.work == work) return usual;
  }
  Usual& usual = usual_[replaced_++ % usual_.size()];
  usual = {work, 0, 0};
  return usual;
}

void TeamSize::ran(uint64_t work, uint32_t asked, double seconds, double interval, double now,
                   const ProcessorTime& processorTime) {
  if (asked == 1) return;
  Usual& usual = usualOf(work);
  if (trial_ == 0) return measure(usual, asked, seconds, interval, now, processorTime);
  if (std::min(asked, trial_) == std::min(asked, limit_)) return;
  if (usual.runs < 2) {
    unknown_ += interval;
  } else {
    window_.runs += 1;
    window_.intervals += interval;
    window_.expected += usual.interval;
  }
  if (isDecided() || unknown_ > kLongWindow) settle(now);
}

// Whether the trial is long enough; one that is much slower is soon.
bool TeamSize::isDecided() const {
  const double least = window_.intervals > 2 * window_.expected ? kWindow : kTrial;
  return enough(window_.runs, window_.intervals, least);
}

// The trial is over: the faster size stays.
void TeamSize::settle(double now) {
  const bool grows = trial_ > threads_;
  const double bound = window_.expected * (grows ? kFaster : 1.0);
  if (isDecided() && window_.intervals < bound) {
    limit_ = trial_;
    usual_ = {};
    patience_ = kFirstPatience;
    shrinkAt_ = growAt_ = now + patience_;
  } else {
    patience_ = std::clamp(2 * patience_, kFirstPatience, kLastPatience);
    const double lost = window_.intervals - window_.expected;
    (grows ? growAt_ : shrinkAt_) = now + std::max(patience_, kPayback * lost);
  }
  trial_ = threads_ = 0;
}

// A run with the size that is settled.
void TeamSize::measure(Usual& usual, uint32_t asked, double seconds, double interval, double now,
                       const ProcessorTime& processorTime) {
  // The first run of a program reads its weights and is like no other.
  usual.runs += 1;
  const double most = std::max(8.0, kMemory / std::max(usual.interval, 1e-6));
  usual.interval += (interval - usual.interval) / std::clamp(usual.runs - 1.0, 1.0, most);
  const uint32_t threads = choose(asked);
  if (threads == threads_) {
    window_.runs += 1;
    window_.seconds += seconds;
    if (!enough(window_.runs, window_.seconds, kWindow)) return;
    const double got = (processorTime(threads) - processorTime_) / window_.seconds;
    if (threads > 1 && got < threads - 1 + kSpare && now >= shrinkAt_) {
      trial_ = std::clamp(static_cast<uint32_t>(got), 1u, threads - 1);
    } else if (threads < asked && now >= growAt_) {
      trial_ = std::min(asked, threads + std::max(threads / 4, 1u));
    }
  }
  threads_ = threads;
  window_ = {};
  unknown_ = 0;
  processorTime_ = processorTime(threads);
}

}  // namespace quipu::cpu

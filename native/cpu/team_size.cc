#include "cpu/team_size.h"

#include <algorithm>

namespace quipu::cpu {

namespace {

constexpr double kWindow = 0.010;      // in which threads are suspected: some time slices (3 ms) of the neighbours
constexpr double kTrial = 0.030;       // in which sizes are compared; a displaced thread is rarer than a run
constexpr uint32_t kRuns = 4;          // of either, at least
constexpr double kLongWindow = 0.100;  // enough however few the runs
constexpr double kOpen = 1;            // a window is kept so long for the largest team where smaller ones come between
constexpr double kMemory = 0.200;      // over which the usual interval is averaged, or 8 runs

constexpr double kSpare = 0.4;  // threads with less processor time than this beyond one fewer are suspected
// A trial is not repeated before the time that it lost is over so many times.
constexpr double kShrinkPayback = 100;  // this is what trials cost where nobody disturbs: 1 %
constexpr double kGrowPayback = 50;
constexpr double kFirstPatience = 0.050;  // doubled with each trial that was no faster
constexpr double kLastPatience = 2;
// However much a trial lost, which may be a stopped process and no fault of its size: the longest wait is this, or what
// pays back a trial that took twice its time.
constexpr double kLongestWait = 60;
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
  if (asked == 1) {
    processorTime_ += seconds;  // none of the window's
    return;
  }
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
    const double lost = window_.intervals - window_.expected, payback = grows ? kGrowPayback : kShrinkPayback;
    const double wait = std::min(payback * lost, std::max(kLongestWait, payback * window_.expected));
    (grows ? growAt_ : shrinkAt_) = now + std::max(patience_, wait);
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
  // A device that asks for fewer is not what holds the window's up: its threads are taken to have got what they could.
  if (threads < threads_ && now - openedAt_ < kOpen) {
    processorTime_ += threads * seconds;
    return;
  }
  if (threads == threads_) {
    window_.runs += 1;
    window_.seconds += seconds;
    window_.asked = std::max(window_.asked, asked);
    if (!enough(window_.runs, window_.seconds, kWindow)) return;
    const double got = (processorTime(threads) - processorTime_) / window_.seconds;
    if (threads > 1 && got < threads - 1 + kSpare && now >= shrinkAt_) {
      trial_ = std::clamp(static_cast<uint32_t>(std::max(got, 1.0)), 1u, threads - 1);
    } else if (threads < window_.asked && now >= growAt_) {
      trial_ = std::min(window_.asked, threads + std::max(threads / 4, 1u));
    }
  }
  threads_ = threads;
  window_ = {};
  unknown_ = 0;
  openedAt_ = now;
  processorTime_ = processorTime(threads);
}

}  // namespace quipu::cpu

#include "cpu/team_size.h"

#include <algorithm>

namespace quipu::cpu {

namespace {

// A window is long enough to see several time slices of the neighbours (3 ms), and several runs.
constexpr double kWindow = 0.010;
constexpr uint32_t kRuns = 4;
constexpr double kLongWindow = 0.100;  // enough however few the runs

constexpr double kSpare = 0.4;            // threads with less processor time than this beyond one fewer are suspected
constexpr double kPayback = 50;           // a trial may cost a fiftieth of the time until the next
constexpr double kFirstPatience = 0.050;  // doubled with each trial that was no faster
constexpr double kLastPatience = 2;
constexpr double kFaster = 0.97;  // of the usual time: what a larger team must stay below

}  // namespace

bool TeamSize::enough(const Window& window) {
  return window.seconds >= kWindow && (window.runs >= kRuns || window.seconds >= kLongWindow);
}

uint32_t TeamSize::choose(uint32_t asked) const { return std::min(asked, trial_ != 0 ? trial_ : limit_); }

TeamSize::Usual& TeamSize::usualOf(uint64_t work) {
  for (Usual& usual : usual_) {
    if (usual.work == work) return usual;
  }
  Usual& usual = usual_[replaced_++ % usual_.size()];
  usual = {work, 0, 0};
  return usual;
}

void TeamSize::ran(uint64_t work, uint32_t asked, double seconds, double now, const ProcessorTime& processorTime) {
  if (asked == 1) return;
  Usual& usual = usualOf(work);
  if (trial_ == 0) return measure(usual, asked, seconds, now, processorTime);
  if (std::min(asked, trial_) == std::min(asked, limit_)) return;
  if (usual.runs < 2) {
    unknown_ += seconds;
  } else {
    window_.runs += 1;
    window_.seconds += seconds;
    window_.expected += usual.seconds;
  }
  if (enough(window_) || unknown_ > kLongWindow) settle(now);
}

// The trial is over: the faster size stays.
void TeamSize::settle(double now) {
  const bool grows = trial_ > threads_;
  const double bound = window_.expected * (grows ? kFaster : 1.0);
  if (enough(window_) && window_.seconds < bound) {
    limit_ = trial_;
    usual_ = {};
    patience_ = kFirstPatience;
    shrinkAt_ = growAt_ = now + patience_;
  } else {
    patience_ = std::clamp(2 * patience_, kFirstPatience, kLastPatience);
    (grows ? growAt_ : shrinkAt_) = now + std::max(patience_, kPayback * (window_.seconds - window_.expected));
  }
  trial_ = threads_ = 0;
}

// A run with the size that is settled.
void TeamSize::measure(Usual& usual, uint32_t asked, double seconds, double now, const ProcessorTime& processorTime) {
  // The first run of a program reads its weights and is like no other.
  usual.runs += 1;
  usual.seconds += (seconds - usual.seconds) / std::clamp(usual.runs - 1, 1u, 8u);
  const uint32_t threads = choose(asked);
  if (threads == threads_) {
    window_.runs += 1;
    window_.seconds += seconds;
    if (!enough(window_)) return;
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

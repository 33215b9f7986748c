// The claims, phases and sleepers of cpu/team.h under thousands of schedules: every task is done once, in its phase,
// none before the phase before it is done; every run ends; and no run waits for a thread that holds no task.
#include "cpu/team.h"

#include <algorithm>
#include <vector>

#include "checks.h"
#include "scheduler.h"

namespace quipu::test {

namespace {

using StepwiseTeam = cpu::Team<Stepwise>;

enum class Ending { kComplete, kCancelled, kStopped };

class CountingWork final : public StepwiseTeam::Work {
 public:
  CountingWork(Scheduler& scheduler, uint32_t threads, Ending ending) : scheduler_(scheduler), threads_(threads) {
    counts_.resize(scheduler.number(5));
    size_t all = 0;
    for (std::vector<int>& phase : counts_) {
      // Many phases of one task, as in a decode step, some of none, some of many.
      const size_t kind = scheduler.number(4);
      phase.resize(kind == 0 ? 0 : kind == 1 ? 1 : 1 + scheduler.number(12));
      all += phase.size();
    }
    if (ending != Ending::kComplete) endsAfter_ = scheduler.number(all + 1), ending_ = ending;
  }

  size_t tasks(uint32_t phase) override {
    if (phase != opened_) scheduler_.fail("phase " + std::to_string(phase) + " is opened out of turn");
    if (!isDone(phase)) scheduler_.fail("phase " + std::to_string(phase) + " is opened before the last is done");
    if (stopped_) scheduler_.fail("a phase is opened after the end");
    opened_ = phase + 1;
    return counts_[phase].size();
  }

  void perform(uint32_t phase, uint32_t thread, StepwiseTeam::Claims& claims) override {
    if (thread >= threads_) scheduler_.fail("a thread that is not admitted has a task");
    if (phase + 1 != opened_) scheduler_.fail("a task of a phase that is not open");
    bool ended = false;
    for (size_t task; claims.next(task);) {
      if (ended) scheduler_.fail("a task is handed out after the end");
      if (phase + 1 != opened_ || task >= counts_[phase].size()) scheduler_.fail("a task that does not exist");
      scheduler_.step();  // works
      if (++counts_[phase][task] != 1) scheduler_.fail("a task is done twice");
      if (++done_ < endsAfter_) continue;
      ended = true;
      if (ending_ == Ending::kCancelled) cancelled = true;
      if (ending_ == Ending::kStopped) stopped_ = true, claims.stop();
    }
  }

  // Whether all tasks of the phases before `phase` are done.
  bool isDone(uint32_t phase) const {
    return std::all_of(counts_.begin(), counts_.begin() + phase, [](const std::vector<int>& tasks) {
      return std::all_of(tasks.begin(), tasks.end(), [](int count) { return count == 1; });
    });
  }
  bool isComplete() const { return isDone(phases()); }
  uint32_t phases() const { return static_cast<uint32_t>(counts_.size()); }

  std::atomic<bool> cancelled{false};

 private:
  Scheduler& scheduler_;
  const uint32_t threads_;
  std::vector<std::vector<int>> counts_;  // how often each task of each phase was done
  size_t done_ = 0, endsAfter_ = SIZE_MAX;
  Ending ending_ = Ending::kComplete;
  uint32_t opened_ = 0;
  bool stopped_ = false;
};

void runSchedule(uint64_t seed) {
  Scheduler scheduler(seed, seed % 2 == 0 ? Scheduler::Order::kRandom : Scheduler::Order::kPriority);
  scheduler.title = "schedule " + std::to_string(seed);
  scheduler.wakesForNoReason = seed % 3 == 0;
  const bool freezes = seed % 5 < 2;
  const auto threads = static_cast<uint32_t>(1 + scheduler.number(4));
  StepwiseTeam team(scheduler.chance(2) ? StepwiseTeam::kMaxClaims : 1 + static_cast<uint32_t>(scheduler.number(3)));
  CountingWork* work = nullptr;
  scheduler.add([&] {
    for (uint64_t runs = 1 + scheduler.number(4); runs > 0; --runs) {
      const auto admitted = static_cast<uint32_t>(1 + scheduler.number(threads));
      const Ending ending = freezes ? Ending::kComplete : static_cast<Ending>(scheduler.number(3));
      CountingWork counting(scheduler, admitted, ending);
      work = &counting;
      if (freezes) scheduler.freeze(scheduler.number(threads), scheduler.steps() + scheduler.number(60));
      scheduler.waits(false);
      team.run(counting, counting.phases(), admitted, counting.cancelled);
      if (ending == Ending::kComplete && !counting.isComplete()) scheduler.fail("a run ends before its tasks are done");
      work = nullptr;
      // What was frozen goes on in the next run, with what it knew of this one.
      if (scheduler.chance(2)) scheduler.release();
    }
    scheduler.release();
    team.close();
  });
  // Threads that serve from the start, or begin at any time: the pool has grown meanwhile.
  for (uint32_t thread = 1; thread < threads; ++thread) scheduler.add([&team, thread] { team.serve(thread); });
  scheduler.run([&] {
    // Nobody goes on but the frozen one, which holds no task: that may be only if nothing is left to do for the others.
    if (!scheduler.isFrozen(0) || work == nullptr || !work->isComplete()) {
      scheduler.fail("the run waits for a thread that holds no task");
    }
  });
}

}  // namespace

uint64_t testTeam(uint64_t schedules) {
  for (uint64_t seed = 0; seed < schedules; ++seed) runSchedule(seed);
  return schedules;
}

}  // namespace quipu::test

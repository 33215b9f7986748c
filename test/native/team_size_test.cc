// cpu/team_size.h in machines that are modelled: what a run takes and how much processor time its threads get, by their
// number. The clock is the model's, so nothing here waits.
#include "cpu/team_size.h"

#include <algorithm>
#include <functional>
#include <random>

#include "checks.h"

namespace quipu::test {

namespace {

struct Run {
  double seconds;
  double processors;  // that its threads get
};
using Machine = std::function<Run(uint32_t threads, double now)>;

class Simulation {
 public:
  // `other` is what a second device asks for, whose runs come between those of the first; 0: there is none.
  explicit Simulation(Machine machine, uint32_t asked, uint32_t other = 0)
      : machine_(std::move(machine)), asked_(asked), other_(other) {}

  // Runs until `end`; returns runs a second. Times vary by a fifth, and two programs alternate.
  double until(double end) {
    const double start = now_;
    double runs = 0;
    for (; now_ < end; ++runs) {
      threads_ = size_.choose(asked_);
      QUIPU_EXPECT(threads_ >= 1 && threads_ <= asked_);
      const bool large = static_cast<uint64_t>(runs) % 50 >= 40;
      const Run run = machine_(threads_, now_);
      const double seconds = run.seconds * std::uniform_real_distribution(0.8, 1.2)(random_) * (large ? 3 : 1);
      if (large) runs += 2;
      now_ += seconds;
      used_ += seconds * run.processors;
      size_.ran(large ? 2 : 1, asked_, seconds, seconds, now_, [this](uint32_t) { return used_; });
      if (other_ == 0) continue;
      const Run between = machine_(size_.choose(other_), now_);
      now_ += between.seconds;
      used_ += between.seconds * between.processors;
      size_.ran(3, other_, between.seconds, between.seconds, now_, [this](uint32_t) { return used_; });
    }
    return runs / (now_ - start);
  }
  uint32_t threads() const { return threads_; }

 private:
  Machine machine_;
  const uint32_t asked_, other_;
  cpu::TeamSize size_;
  std::mt19937_64 random_{1};
  double now_ = 100, used_ = 0;
  uint32_t threads_ = 0;
};

}  // namespace

uint64_t testTeamSize() {
  uint64_t machines = 0;
  for (const double unit : {0.0001, 0.002, 0.03}) {  // seconds of a run on one thread
    const Run one = {unit, 1.0};

    // A quiet machine: two threads stay two.
    Simulation quiet([&](uint32_t threads, double) { return threads == 2 ? Run{unit / 1.7, 1.9} : one; }, 2);
    QUIPU_EXPECT(quiet.until(110) > 0.98 * 1.7 / unit);

    // One where the second thread mostly sleeps and is worth a tenth: suspected again and again, for 1 %.
    Simulation idle([&](uint32_t threads, double) { return threads == 2 ? Run{unit / 1.1, 1.2} : one; }, 2);
    QUIPU_EXPECT(idle.until(140) > 0.98 * 1.1 / unit);

    // Two threads that hold each other up: one of them soon, for good.
    Simulation busy([&](uint32_t threads, double) { return threads == 2 ? Run{5 * unit, 0.8} : one; }, 2);
    busy.until(100.3 + 40 * unit);
    QUIPU_EXPECT(busy.until(140) > 0.95 / unit);

    // Two that are a little slower than one.
    Simulation slower([&](uint32_t threads, double) { return threads == 2 ? Run{1.4 * unit, 0.9} : one; }, 2);
    slower.until(102);
    QUIPU_EXPECT(slower.until(140) > 0.95 / unit);

    // The neighbours leave: two again, within what a trial may be put off.
    Simulation leaving(
        [&](uint32_t threads, double now) {
          return threads == 1 ? one : now < 110 ? Run{3 * unit, 0.8} : Run{unit / 1.7, 1.9};
        },
        2);
    leaving.until(110);
    leaving.until(115);
    QUIPU_EXPECT(leaving.threads() == 2);

    // Many threads of which the machine has room for twenty: cut to about that.
    Simulation many([&](uint32_t threads,
                        double) { return threads <= 20 ? Run{unit / threads, threads * 0.98} : Run{unit / 8, 20.0}; },
                    64);
    many.until(105);
    QUIPU_EXPECT(many.until(120) > 0.9 * 16 / unit);

    // The process is stopped for an hour while a larger team is tried: no reason to keep the small one for days.
    bool stopped = false;
    Simulation paused(
        [&](uint32_t threads, double now) {
          if (threads == 1) return one;
          if (now > 150) return Run{unit / 1.7, 1.9};
          const bool stops = now > 105 && !stopped;
          stopped = stopped || stops;
          return Run{stops ? 3600 : 3 * unit, stops ? 0.0 : 0.8};
        },
        2);
    paused.until(150);
    QUIPU_EXPECT(stopped);
    paused.until(5000);
    QUIPU_EXPECT(paused.threads() == 2);

    // A smaller device beside it: what that one uses does not hide that the last thread is worth nothing.
    for (const uint32_t other : {1u, 2u}) {
      Simulation beside(
          [&](uint32_t threads, double) {
            return threads > other ? Run{1.4 * unit, threads - 1.1} : Run{unit, threads * 0.99};
          },
          other + 1, other);
      beside.until(104 + 40 * unit);
      QUIPU_EXPECT(beside.until(140) > 0.95 / (2 * unit));
    }

    // Two devices in turn that ask for different numbers: cut while there are neighbours, and all again when they
    // leave.
    for (const uint32_t other : {2u, 7u}) {
      Simulation inTurn(
          [&](uint32_t threads, double now) {
            return threads == 1 ? one : now < 110 ? Run{3 * unit, 0.8} : Run{unit / threads, threads * 0.95};
          },
          8, other);
      inTurn.until(103 + 40 * unit);
      QUIPU_EXPECT(inTurn.until(110) > 0.9 / (2 * unit));
      inTurn.until(125);
      QUIPU_EXPECT(inTurn.threads() == 8);
    }

    // The larger one goes: the size of the other's runs is looked at too.
    cpu::TeamSize left;
    double now = 100;
    const auto run = [&](uint32_t asked) {
      const double seconds = left.choose(asked) == 2 ? 3 * unit : unit;
      now += seconds;
      left.ran(asked, asked, seconds, seconds, now, [&](uint32_t) { return now - 100; });
    };
    for (int i = 0; i < 2; ++i) run(8);
    while (now < 103 + 100 * unit) run(2);
    QUIPU_EXPECT(left.choose(2) == 1);

    // A device that asks for one thread has one.
    Simulation single([&](uint32_t, double) { return one; }, 1);
    single.until(101);
    machines += 13;
  }
  return machines;
}

}  // namespace quipu::test

// A scheduler for tests of cpu/team.h: its threads are fibers of one real thread, and every access to an atomic is a
// step at which another may go on. Which one does is decided by a seed, so that a failure can be repeated, and any
// thread can be delayed at any step for as long as one likes.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace quipu::test {

class Scheduler {
 public:
  enum class Order {
    kRandom,    // any thread that can go on, at every step
    kPriority,  // the one of the highest priority; some steps make the running one the lowest (PCT, ASPLOS 2010)
  };

  explicit Scheduler(uint64_t seed, Order order) : random_(seed), order_(order) { current() = this; }

  static Scheduler*& current() {
    static Scheduler* scheduler = nullptr;
    return scheduler;
  }

  // Fiber 0, 1, … in the order of the calls.
  void add(std::function<void()> body) {
    auto fiber = std::make_unique<Fiber>();
    fiber->body = std::move(body);
    fiber->priority = random_();
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.data();
    fiber->context.uc_stack.ss_size = fiber->stack.size();
    fiber->context.uc_link = &main_;
    makecontext(&fiber->context, enter, 0);
    fibers_.push_back(std::move(fiber));
  }

  // Keeps fiber `which` from going on, from the first step after `from` on at which it waits for work, until release().
  void freeze(size_t which, uint64_t from) {
    release();
    frozen_ = which;
    freezeFrom_ = from;
  }
  void release() {
    if (frozen_ != kNone) fibers_[frozen_]->frozen = false;
    frozen_ = kNone;
  }
  bool isFrozen(size_t which) const { return frozen_ == which && fibers_[which]->frozen; }

  // Runs all fibers to their ends. `stuck` is called when none can go on but the frozen one.
  void run(const std::function<void()>& stuck) {
    for (;;) {
      running_ = pick();
      if (running_ == kNone) {
        if (frozen_ != kNone && fibers_[frozen_]->frozen && !fibers_[frozen_]->done) {
          stuck();
          release();
          continue;
        }
        for (const auto& fiber : fibers_) {
          if (!fiber->done) fail("a thread sleeps for ever");
        }
        return;
      }
      swapcontext(&main_, &fibers_[running_]->context);
    }
  }

  // Before every access to what threads share.
  void step() {
    if (++steps_ > 200000) fail("no end after 200000 steps");
    Fiber& fiber = *fibers_[running_];
    if (frozen_ == running_ && steps_ >= freezeFrom_ && fiber.waits) fiber.frozen = true;
    if (order_ == Order::kPriority && random_() % 32 == 0) fiber.priority = random_() % 1000;
    swapcontext(&fiber.context, &main_);
  }

  // The running thread waits for work and holds none; false: it has got some.
  void waits(bool yes) { fibers_[running_]->waits = yes; }

  void sleep(const void* place) {
    fibers_[running_]->asleepOn = place;
    swapcontext(&fibers_[running_]->context, &main_);
  }
  void wake(const void* place) {
    for (const auto& fiber : fibers_) {
      if (fiber->asleepOn == place) fiber->asleepOn = nullptr;
    }
  }

  bool chance(uint32_t of) { return random_() % of == 0; }
  uint64_t number(uint64_t below) { return random_() % below; }
  uint64_t steps() const { return steps_; }
  size_t running() const { return running_; }

  [[noreturn]] void fail(const std::string& what) {
    fprintf(stderr, "%s: %s, step %llu, thread %zu\n", title.c_str(), what.c_str(),
            static_cast<unsigned long long>(steps_), running_);
    exit(1);
  }

  std::string title;  // of the schedule, for messages
  bool wakesForNoReason = false;

 private:
  static constexpr size_t kNone = SIZE_MAX;
  struct Fiber {
    std::function<void()> body;
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(64 << 10);
    const void* asleepOn = nullptr;
    uint64_t priority = 0;
    bool waits = true, frozen = false, done = false;
  };

  static void enter() {
    Scheduler& scheduler = *current();
    Fiber& fiber = *scheduler.fibers_[scheduler.running_];
    fiber.body();
    fiber.done = true;
  }

  bool canGoOn(size_t which) const {
    const Fiber& fiber = *fibers_[which];
    return !fiber.done && fiber.asleepOn == nullptr && !(fiber.frozen && frozen_ == which);
  }

  size_t pick() {
    size_t chosen = kNone, ready = 0;
    for (size_t i = 0; i < fibers_.size(); ++i) {
      if (!canGoOn(i)) continue;
      ready += 1;
      const bool better = order_ == Order::kRandom
                              ? random_() % ready == 0
                              : chosen == kNone || fibers_[i]->priority > fibers_[chosen]->priority;
      if (better) chosen = i;
    }
    // Sleepers may wake for no reason, as the system's do; not where that would hide that nobody wakes them.
    if (chosen != kNone && wakesForNoReason && random_() % 64 == 0) {
      fibers_[random_() % fibers_.size()]->asleepOn = nullptr;
    }
    return chosen;
  }

  std::mt19937_64 random_;
  const Order order_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  ucontext_t main_;
  size_t running_ = 0, frozen_ = kNone;
  uint64_t steps_ = 0, freezeFrom_ = 0;
};

// What cpu/team.h is made of under that scheduler.
struct Stepwise {
  template <typename T>
  class Atomic {
   public:
    Atomic(T value) : value_(value) {}
    T load(std::memory_order = std::memory_order_seq_cst) const { return step(), value_; }
    void store(T value, std::memory_order = std::memory_order_seq_cst) { step(), value_ = value; }
    T exchange(T value, std::memory_order = std::memory_order_seq_cst) { return step(), std::exchange(value_, value); }
    T fetch_add(T value, std::memory_order = std::memory_order_seq_cst) {
      return step(), std::exchange(value_, value_ + value);
    }
    T fetch_sub(T value, std::memory_order = std::memory_order_seq_cst) {
      return step(), std::exchange(value_, value_ - value);
    }
    bool compare_exchange_weak(T& expected, T value, std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) {
      step();
      if (value_ != expected || Scheduler::current()->chance(16)) return expected = value_, false;
      value_ = value;
      Scheduler::current()->waits(false);
      return true;
    }
    T value() const { return value_; }  // for who looks on

   private:
    static void step() { Scheduler::current()->step(); }
    T value_;
  };

  static constexpr uint32_t kSpins = 2;
  static void pause() {
    Scheduler::current()->waits(true);
    Scheduler::current()->step();
  }
  static void wait(const Atomic<uint32_t>& value, uint32_t old) {
    Scheduler::current()->waits(true);
    Scheduler::current()->step();
    if (value.value() == old) Scheduler::current()->sleep(&value);
  }
  static void wake(Atomic<uint32_t>& value) {
    Scheduler::current()->step();
    Scheduler::current()->wake(&value);
  }
};

}  // namespace quipu::test

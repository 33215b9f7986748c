// Threads that share out the tasks of one phase after another. A phase is done when its tasks are done, not when all
// threads have come: whoever completes the last task opens the next phase, so no thread waits for one that the system
// has not scheduled, unless that holds a task.
//
// One word says all that a thread must know to take part: {phase, threads admitted, tasks left}. A claim takes one task
// off it by compare-and-swap and succeeds only where tasks are left and the thread is admitted. While a thread holds a
// claim its phase cannot end, so what describes the phase is read by those alone who hold one, and needs no lock. A
// thread gives its claims back all at once when nothing is left to take; what is done is counted apart.
//
// `Platform` has the atomics and the way to sleep: cpu/thread_pool.h has the system's, tests have those of a scheduler
// that may delay any thread at any access (test/native).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace quipu::cpu {

template <typename Platform>
class Team {
 public:
  class Claims;

  // What a run computes: phases in order, each of independent tasks.
  class Work {
   public:
    virtual ~Work() = default;
    // Tasks of a phase; 0 skips it. Called once a phase by the thread that opens it, when all before it is done.
    virtual size_t tasks(uint32_t phase) = 0;
    // Does tasks of the phase until claims has none left. Called by any admitted thread, on several at once.
    virtual void perform(uint32_t phase, uint32_t thread, Claims& claims) = 0;
  };

  // What one thread has taken of the open phase.
  class Claims {
   public:
    // The next task; false where none is left, or the run is to end.
    bool next(size_t& task) {
      if (team_.stops()) {
        taken_ += team_.takeAll();
        at_ = end_;
      }
      if (at_ == end_ && !team_.claim(*this)) return false;
      task = at_++;
      return true;
    }
    // Ends the run: what is not yet handed out of this phase counts as done, and no other is opened.
    void stop() { team_.stopped_.store(true, std::memory_order_relaxed); }

   private:
    friend class Team;
    Claims(Team& team, uint32_t thread) : team_(team), thread_(thread) {}
    // Has taken claim number `index` of the phase.
    void hold(size_t index) {
      taken_ += 1;
      at_ = index * team_.tasksPerClaim_;
      end_ = std::min(at_ + team_.tasksPerClaim_, team_.tasks_);
    }

    Team& team_;
    const uint32_t thread_;
    size_t at_ = 0, end_ = 0;  // tasks taken and not yet handed out
    uint32_t taken_ = 0;       // claims that count as done when perform() returns
  };

  static constexpr uint32_t kMaxThreads = 1024;
  static constexpr uint32_t kMaxClaims = UINT32_MAX;
  // Of a phase, a thread: where tasks are more, a claim is of several. A claim that two threads want takes longer than
  // a row of 64 features.
  static constexpr uint32_t kThreadClaims = 64;

  // `maxClaims` of a phase: tests make it small, so that a claim covers several tasks.
  explicit Team(uint32_t maxClaims = kMaxClaims) : maxClaims_(maxClaims), seats_(new Seat[kMaxThreads]) {}

  // Runs `phases` phases of `work`. The caller is thread 0, and up to `threads` − 1 of those that serve help. Returns
  // when all is done, or, once `cancelled` is set or a thread has called stop(), when what was begun is done. One run
  // at a time.
  void run(Work& work, uint32_t phases, uint32_t threads, const std::atomic<bool>& cancelled) {
    work_ = &work;
    phases_ = phases;
    threads_ = std::min(std::max(threads, 1u), kMaxThreads);
    cancelled_ = &cancelled;
    stopped_.store(false, std::memory_order_relaxed);
    phase_ = UINT32_MAX;  // before the first
    Claims claims(*this, 0);
    if (!openNext(claims)) return;
    do complete(claims);
    while (await(claims));
  }

  // Thread `thread` ≥ 1 helps with all runs that admit it, until close().
  void serve(uint32_t thread) {
    Claims claims(*this, thread);
    while (await(claims)) complete(claims);
  }

  // Makes every serve() return, also one that is about to begin. No run may be open.
  void close() {
    word_.store(kClosed);
    wake(kMaxThreads, kMaxThreads);
  }

 private:
  // The word: 32 bits of tasks left, 12 of threads admitted (none: no run is open), 20 of the phase's number, counted
  // through all runs.
  static constexpr int kThreadsAt = 32, kPhaseAt = 44;
  static constexpr uint64_t kClosed = uint64_t{0xFFF} << kThreadsAt;
  static uint32_t leftOf(uint64_t word) { return static_cast<uint32_t>(word); }
  static uint32_t threadsOf(uint64_t word) { return static_cast<uint32_t>(word >> kThreadsAt) & 0xFFF; }

  // Where a thread sleeps.
  struct alignas(64) Seat {
    typename Platform::template Atomic<uint32_t> asleep{0};
  };

  bool stops() const { return cancelled_->load(std::memory_order_relaxed) || stopped_.load(std::memory_order_relaxed); }

  // Takes a claim of the phase that is open, if there is one for this thread.
  bool claim(Claims& claims) {
    uint64_t word = word_.load(std::memory_order_acquire);
    while (leftOf(word) > 0 && claims.thread_ < threadsOf(word)) {
      if (word_.compare_exchange_weak(word, word - 1, std::memory_order_acquire, std::memory_order_acquire)) {
        claims.hold(claims_ - leftOf(word));
        return true;
      }
    }
    return false;
  }

  // All claims that are left, by a thread that holds one.
  uint32_t takeAll() {
    uint64_t word = word_.load(std::memory_order_relaxed);
    while (leftOf(word) > 0 && !word_.compare_exchange_weak(word, word - leftOf(word), std::memory_order_relaxed)) {
    }
    return leftOf(word);
  }

  // Performs what the thread holds, and the phases that it opens thereby.
  void complete(Claims& claims) {
    do {
      work_->perform(phase_, claims.thread_, claims);
      const uint32_t all = claims_, taken = claims.taken_;
      claims.taken_ = 0;
      claims.at_ = claims.end_ = 0;
      if (done_.fetch_add(taken, std::memory_order_acq_rel) + taken != all) return;  // others complete it
    } while (openNext(claims));
  }

  // Opens the next phase that has tasks and takes one of them, or ends the run. By the thread that has completed the
  // phase before: nobody else holds a claim.
  bool openNext(Claims& claims) {
    number_ += 1;
    const uint64_t number = uint64_t{number_} << kPhaseAt;
    for (phase_ += 1; phase_ < phases_ && !stops(); phase_ += 1) {
      tasks_ = work_->tasks(phase_);
      if (tasks_ == 0) continue;
      tasksPerClaim_ = (tasks_ - 1) / std::min(maxClaims_, threads_ * kThreadClaims) + 1;
      claims_ = static_cast<uint32_t>((tasks_ - 1) / tasksPerClaim_ + 1);
      done_.store(0, std::memory_order_relaxed);
      claims.hold(0);
      word_.store(number | (uint64_t{threads_} << kThreadsAt) | (claims_ - 1));
      wake(threads_, claims_ - 1);
      return true;
    }
    word_.store(number);
    wake(1, 1);
    return false;
  }

  // Waits until the thread holds a claim; false where it need not wait any longer.
  bool await(Claims& claims) {
    for (uint32_t spins = 0;;) {
      if (claim(claims)) return true;
      const uint64_t word = word_.load(std::memory_order_acquire);
      if (isOver(word, claims.thread_)) return false;
      if (spins < Platform::kSpins) {
        spins += 1;
        Platform::pause();
      } else {
        sleep(claims.thread_);
        spins = 0;
      }
    }
  }

  static bool isOver(uint64_t word, uint32_t thread) { return thread == 0 ? threadsOf(word) == 0 : word == kClosed; }

  // A sleeper says that it sleeps and then looks at the word once more; who changes the word looks for sleepers after
  // that. All these accesses are in one order (seq_cst), so one of the two sees the other. It is counted before its
  // seat tells, as who wakes it counts it off: the count is never less than those who sleep.
  void sleep(uint32_t thread) {
    Seat& seat = seats_[thread];
    sleepers_.fetch_add(1);
    seat.asleep.store(1);
    const uint64_t word = word_.load();
    const bool idle = (leftOf(word) == 0 || thread >= threadsOf(word)) && !isOver(word, thread);
    if (idle) Platform::wait(seat.asleep, 1);
    if (seat.asleep.exchange(0) == 1) sleepers_.fetch_sub(1);  // a spurious wake-up
  }

  // Wakes up to `count` of the first `threads` threads that sleep.
  void wake(uint32_t threads, uint32_t count) {
    if (count == 0 || sleepers_.load() == 0) return;
    for (uint32_t thread = 0; thread < threads && count > 0; ++thread) {
      Seat& seat = seats_[thread];
      if (seat.asleep.load() == 0 || seat.asleep.exchange(0) == 0) continue;
      sleepers_.fetch_sub(1);
      Platform::wake(seat.asleep);
      count -= 1;
    }
  }

  const uint32_t maxClaims_;
  const std::unique_ptr<Seat[]> seats_;

  // Of the run and of its open phase: written by who opens it, read by holders of a claim.
  Work* work_ = nullptr;
  const std::atomic<bool>* cancelled_ = nullptr;
  uint32_t phases_ = 0, threads_ = 1;
  uint32_t phase_ = 0, claims_ = 0, number_ = 0;
  size_t tasks_ = 0, tasksPerClaim_ = 1;

  typename Platform::template Atomic<bool> stopped_{false};
  alignas(64) typename Platform::template Atomic<uint64_t> word_{0};
  alignas(64) typename Platform::template Atomic<uint32_t> done_{0};
  alignas(64) typename Platform::template Atomic<uint32_t> sleepers_{0};
};

}  // namespace quipu::cpu

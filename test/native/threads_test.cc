// The system's threads at work: devices that come and go on several threads, each with runs of its own on the shared
// ones, cancelled, failed or whole. Results are written and read as plain memory, so ThreadSanitizer sees every order
// that is missing.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "checks.h"
#include "core/run_queue.h"
#include "cpu/shared_threads.h"

namespace {

thread_local bool refusesMemory = false;

}  // namespace

void* operator new(size_t bytes) {
  void* const memory = refusesMemory ? nullptr : malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }

namespace quipu::test {

namespace {

// A run of phases that each add one to every number, from the numbers of the phase before.
class AddingBackend final : public Backend, private cpu::ThreadTeam::Work {
 public:
  AddingBackend(cpu::ThreadPool& pool, uint32_t threads) : pool_(pool), threads_(threads) {}

  Status prepare(const std::shared_ptr<const Program>&) override { return {}; }
  Status run(const std::atomic<bool>& cancelled) override {
    values_.assign(kCount, 0);
    pool_.run(*this, 1, kPhases, threads_, cancelled);
    if (cancelled) return Status::error(ErrorCode::kAborted, "cancelled");
    for (const int value : values_) QUIPU_EXPECT(value == static_cast<int>(kPhases));
    return {};
  }
  size_t workspaceBytes() const override { return 0; }

 private:
  static constexpr uint32_t kPhases = 40;
  static constexpr size_t kCount = 24;

  size_t tasks(uint32_t phase) override { return phase % 3 == 0 ? 1 : kCount; }
  void perform(uint32_t phase, uint32_t thread, cpu::ThreadTeam::Claims& claims) override {
    QUIPU_EXPECT(thread < threads_);
    for (size_t task; claims.next(task);) {
      const size_t end = phase % 3 == 0 ? kCount : task + 1;
      for (size_t i = task; i < end; ++i) values_[i] += 1;
    }
  }

  cpu::ThreadPool& pool_;
  const uint32_t threads_;
  std::vector<int> values_;
};

std::shared_ptr<const Program> emptyProgram() {
  std::shared_ptr<const Program> program;
  QUIPU_EXPECT(Program::parse({kProgramMagic, kProgramVersion, 0, 0, 0, 0}, {}, program).ok());
  return program;
}

// What a device does: opens, runs, cancels some, and leaves while some wait.
uint64_t useDevice(uint64_t round, uint32_t threads) {
  std::shared_ptr<cpu::SharedThreads> shared;
  QUIPU_EXPECT(cpu::SharedThreads::open(threads, shared).ok());
  AddingBackend backend(shared->pool(), threads);
  const auto program = emptyProgram();
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> ended;
  constexpr int kJobs = 10;
  std::vector<std::shared_ptr<CancelFlag>> flags;
  for (int i = 0; i < kJobs; ++i) {
    auto job = std::make_shared<Job>();
    job->backend = &backend;
    job->program = program;
    job->cancel = flags.emplace_back(std::make_shared<CancelFlag>());
    job->done = [&, i](const std::shared_ptr<Job>&) {
      const std::lock_guard lock(mutex);
      ended.push_back(i);
      changed.notify_one();
    };
    shared->queue().push(job);
  }
  if (round % 3 == 1) shared->queue().cancel(*flags[4]);
  if (round % 3 != 2) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ended.size() == kJobs; });
    if (round % 3 == 0) {
      for (int i = 0; i < kJobs; ++i) QUIPU_EXPECT(ended[i] == i);  // first in, first out
    }
  }
  shared->queue().leave(backend);
  QUIPU_EXPECT(ended.size() == kJobs);
  return kJobs;
}

// Jobs that wait are ended, one by its flag and the rest with their device, when there is no memory at all.
void endWithoutMemory() {
  std::unique_ptr<RunQueue> queue;
  QUIPU_EXPECT(RunQueue::start(queue).ok());
  cpu::ThreadPool pool;
  AddingBackend backend(pool, 1);
  std::atomic<bool> begun{false}, mayEnd{false};
  int ended = 0;
  std::vector<std::shared_ptr<CancelFlag>> flags;
  for (int i = 0; i < 5; ++i) {
    auto job = std::make_shared<Job>();
    job->backend = &backend;
    job->cancel = flags.emplace_back(std::make_shared<CancelFlag>());
    job->done = [&, i](const std::shared_ptr<Job>& of) {
      if (i > 0) {
        QUIPU_EXPECT(of->status.code == ErrorCode::kAborted);
        ended += 1;
        mayEnd = ended == 4;
        mayEnd.notify_one();
      } else {
        begun = true;
        begun.notify_one();
        mayEnd.wait(false);
      }
    };
    queue->push(std::move(job));
  }
  begun.wait(false);
  refusesMemory = true;
  queue->cancel(*flags[2]);
  queue->leave(backend);
  refusesMemory = false;
  QUIPU_EXPECT(ended == 4);
}

}  // namespace

uint64_t testThreads(uint64_t rounds) {
  endWithoutMemory();
  std::atomic<uint64_t> runs{0};
  std::vector<std::thread> users;
  for (uint32_t user = 0; user < 3; ++user) {
    users.emplace_back([&runs, rounds, user] {
      for (uint64_t round = 0; round < rounds; ++round) runs += useDevice(round + user, 1 + (round + user) % 4);
    });
  }
  for (std::thread& thread : users) thread.join();
  return runs;
}

}  // namespace quipu::test

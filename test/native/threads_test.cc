// The system's threads at work: devices that come and go on several threads, each with runs of its own on the shared
// ones, cancelled, failed or whole. Results are written and read as plain memory, so ThreadSanitizer sees every order
// that is missing.
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include "checks.h"
#include "core/device.h"
#include "cpu/host_memory.h"
#include "cpu/shared_threads.h"
#include "reference/backend.h"

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

// What backends have and have not given back, and on which thread.
struct Counts {
  std::atomic<int> backends{0}, executables{0}, wrongThread{0}, writes{0};
};

struct CountedExecutable final : Executable {
  explicit CountedExecutable(std::shared_ptr<Counts> counts)
      : counts_(std::move(counts)), thread_(std::this_thread::get_id()) {
    counts_->executables += 1;
  }
  ~CountedExecutable() override {
    counts_->wrongThread += std::this_thread::get_id() != thread_ || counts_->backends == 0;
    counts_->executables -= 1;
  }

  const std::shared_ptr<Counts> counts_;
  const std::thread::id thread_;
};

// A run of phases that each add one to every number, from the numbers of the phase before.
class AddingBackend final : public Backend, private cpu::ThreadTeam::Work {
 public:
  AddingBackend(cpu::ThreadPool& pool, uint32_t threads, std::shared_ptr<Counts> counts)
      : pool_(pool), threads_(threads), counts_(std::move(counts)) {
    counts_->backends += 1;
  }
  ~AddingBackend() override {
    counts_->wrongThread += loaded_ != std::thread::id() && std::this_thread::get_id() != loaded_;
    counts_->backends -= 1;
  }

  Status allocate(size_t bytes, uint32_t bound, bool filled, std::shared_ptr<Memory>& out) override {
    std::shared_ptr<cpu::HostMemory> memory;
    Status status = cpu::HostMemory::allocate(bytes, bound, filled, memory);
    out = std::move(memory);
    return status;
  }
  Status place(const std::shared_ptr<const MappedFile>&, size_t, size_t, size_t, std::shared_ptr<Memory>&) override {
    return Status::error(ErrorCode::kInternal, "no files here");
  }
  size_t workspaceBytes() const override { return 0; }
  Status load(const Program&, std::unique_ptr<Executable>& out) override {
    loaded_ = std::this_thread::get_id();
    out = std::make_unique<CountedExecutable>(counts_);
    return {};
  }
  Ticket submit(const Submission& submission) override {
    counts_->writes += static_cast<int>(submission.writes.size());
    outcome_ = {};
    if (submission.executable != nullptr) outcome_.status = run(submission.cancelled);
    return 0;
  }
  Outcome wait(Ticket) override { return std::move(outcome_); }

 private:
  static constexpr uint32_t kPhases = 40;
  static constexpr size_t kCount = 24;

  Status run(const std::atomic<bool>& cancelled) {
    values_.assign(kCount, 0);
    pool_.run(*this, 1, kPhases, threads_, cancelled);
    if (cancelled) return Status::error(ErrorCode::kAborted, "cancelled");
    for (const int value : values_) QUIPU_EXPECT(value == static_cast<int>(kPhases));
    return {};
  }

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
  const std::shared_ptr<Counts> counts_;
  std::thread::id loaded_;
  Outcome outcome_;
  std::vector<int> values_;
};

// Its runs end when they are cancelled, and not before.
class EndlessBackend final : public Backend {
 public:
  explicit EndlessBackend(std::atomic<bool>& begun) : begun_(begun) {}

  Status allocate(size_t, uint32_t, bool, std::shared_ptr<Memory>&) override { return none(); }
  Status place(const std::shared_ptr<const MappedFile>&, size_t, size_t, size_t, std::shared_ptr<Memory>&) override {
    return none();
  }
  size_t workspaceBytes() const override { return 0; }
  Status load(const Program&, std::unique_ptr<Executable>&) override { return none(); }
  Ticket submit(const Submission& submission) override {
    begun_ = true;
    begun_.notify_one();
    while (!submission.cancelled) std::this_thread::yield();
    return 0;
  }
  Outcome wait(Ticket) override { return {Status::error(ErrorCode::kAborted, "cancelled")}; }

 private:
  static Status none() { return Status::error(ErrorCode::kInternal, "only transfers here"); }

  std::atomic<bool>& begun_;
};

std::shared_ptr<LoadedProgram> emptyProgram(Device& device) {
  std::shared_ptr<LoadedProgram> program;
  QUIPU_EXPECT(device.load({kProgramMagic, kProgramVersion, 0, 0, 0, 0, 0, 0}, {}, program).ok());
  return program;
}

// What a device does: opens, runs, cancels some, disposes of a program, and closes while some wait. One program is kept
// beyond that.
uint64_t useDevice(uint64_t round, uint32_t threads) {
  std::shared_ptr<cpu::SharedThreads> shared;
  QUIPU_EXPECT(cpu::SharedThreads::open(threads, shared).ok());
  const auto counts = std::make_shared<Counts>();
  auto device = std::make_shared<Device>(std::shared_ptr<RunQueue>(shared, &shared->queue()),
                                         std::make_unique<AddingBackend>(shared->pool(), threads, counts), threads);
  std::shared_ptr<LoadedProgram> programs[] = {emptyProgram(*device), emptyProgram(*device)};
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> ended;
  constexpr int kJobs = 10;
  std::vector<std::shared_ptr<CancelFlag>> flags;
  for (int i = 0; i < kJobs; ++i) {
    auto job = std::make_shared<Job>();
    job->program = programs[i % 2];
    job->cancel = flags.emplace_back(std::make_shared<CancelFlag>());
    job->done = [&, i] {
      const std::lock_guard lock(mutex);
      ended.push_back(i);
      changed.notify_one();
    };
    device->run(std::move(job));
  }
  programs[0].reset();
  if (round % 3 == 1) device->cancel(*flags[4]);
  if (round % 3 != 2) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ended.size() == kJobs; });
    if (round % 3 == 0) {
      for (int i = 0; i < kJobs; ++i) QUIPU_EXPECT(ended[i] == i);  // first in, first out
    }
  }
  shared.reset();
  device->close();
  QUIPU_EXPECT(ended.size() == kJobs);
  while (counts->backends > 0) std::this_thread::yield();
  QUIPU_EXPECT(counts->executables == 0 && counts->wrongThread == 0);
  return kJobs;
}

// What is disposed of is gone as soon as the queue's thread has come to it, without a run in between.
void disposeOfPrograms() {
  std::unique_ptr<RunQueue> queue;
  QUIPU_EXPECT(RunQueue::start(queue).ok());
  cpu::ThreadPool pool;
  const auto counts = std::make_shared<Counts>();
  auto device = std::make_shared<Device>(std::move(queue), std::make_unique<AddingBackend>(pool, 1, counts), 1);
  const auto runOnce = [&](std::shared_ptr<LoadedProgram> program) {
    auto job = std::make_shared<Job>();
    job->program = std::move(program);
    job->cancel = std::make_shared<CancelFlag>();
    std::atomic<bool> done{false};
    job->done = [&] {
      done = true;
      done.notify_one();
    };
    device->run(std::move(job));
    done.wait(false);
  };
  for (int i = 0; i < 5; ++i) runOnce(emptyProgram(*device));
  std::vector<std::shared_ptr<LoadedProgram>> kept = {emptyProgram(*device), emptyProgram(*device)};
  for (const auto& program : kept) runOnce(program);
  kept.pop_back();
  while (counts->executables > 1) std::this_thread::yield();
  // What another thread has cancelled before it starts does nothing, not even its writes.
  std::shared_ptr<Memory> memory;
  QUIPU_EXPECT(device->allocate(8, 0, false, memory).ok() && device->stateBytes() == 8);
  auto job = std::make_shared<Job>();
  job->cancel = std::make_shared<CancelFlag>();
  job->cancel->cancelled = true;
  job->writes.push_back({memory, 0, std::vector<std::byte>(8)});
  std::atomic<bool> done{false};
  job->done = [&] {
    done = true;
    done.notify_one();
  };
  device->run(job);
  done.wait(false);
  QUIPU_EXPECT(counts->writes == 0 && job->outcome.status.code == ErrorCode::kAborted);
  device->close();
  QUIPU_EXPECT(counts->backends == 0 && counts->wrongThread == 0 && device->stateBytes() == 0);
}

// Devices that share a queue have their runs done in the order in which they were asked for.
void useInTurn() {
  uint32_t threads = 2;
  std::shared_ptr<cpu::SharedThreads> shared;
  QUIPU_EXPECT(cpu::SharedThreads::open(threads, shared).ok());
  const auto counts = std::make_shared<Counts>();
  std::vector<std::shared_ptr<Device>> devices;
  std::vector<std::shared_ptr<LoadedProgram>> programs;
  for (int i = 0; i < 3; ++i) {
    auto backend = std::make_unique<AddingBackend>(shared->pool(), threads, counts);
    devices.push_back(
        std::make_shared<Device>(std::shared_ptr<RunQueue>(shared, &shared->queue()), std::move(backend), threads));
    programs.push_back(emptyProgram(*devices.back()));
  }
  constexpr int kJobs = 30;
  std::atomic<int> ended{0};
  for (int i = 0; i < kJobs; ++i) {
    auto job = std::make_shared<Job>();
    job->program = programs[i % 3];
    job->cancel = std::make_shared<CancelFlag>();
    job->done = [&ended, i] {
      QUIPU_EXPECT(ended == i);
      ended = i + 1;
      ended.notify_one();
    };
    devices[i % 3]->run(std::move(job));
  }
  for (int seen; (seen = ended) < kJobs;) ended.wait(seen);
  shared.reset();
  for (const auto& device : devices) device->close();
  QUIPU_EXPECT(counts->backends == 0 && counts->wrongThread == 0);
}

// A device that works behind submit() and has several runs in flight: what each reads is what it has written, in order,
// and those that are cancelled wherever they are do no harm.
uint64_t useAhead(uint64_t round) {
  std::unique_ptr<RunQueue> queue;
  std::unique_ptr<Backend> backend;
  QUIPU_EXPECT(RunQueue::start(queue).ok() && reference::ReferenceBackend::start(backend).ok());
  auto device = std::make_shared<Device>(std::move(queue), std::move(backend), 1);
  std::shared_ptr<Memory> memory;
  QUIPU_EXPECT(device->allocate(sizeof(int), 0, false, memory).ok());
  const auto program = emptyProgram(*device);
  constexpr int kJobs = 20;
  std::vector<std::shared_ptr<Job>> jobs;
  std::atomic<int> ended{0};
  for (int i = 0; i < kJobs; ++i) {
    auto job = jobs.emplace_back(std::make_shared<Job>());
    job->program = program;
    job->cancel = std::make_shared<CancelFlag>();
    std::vector<std::byte> number(sizeof(int));
    memcpy(number.data(), &i, sizeof(int));
    job->writes.push_back({memory, 0, number});
    job->reads.push_back({memory, 0, std::vector<std::byte>(sizeof(int))});
    job->done = [&ended] {
      ended += 1;
      ended.notify_one();
    };
    device->run(job);
    if (i % 5 == 2) device->cancel(*job->cancel);
  }
  if (round % 2 == 0) {
    for (int seen; (seen = ended) < kJobs;) ended.wait(seen);
  }
  device->close();
  QUIPU_EXPECT(ended == kJobs);
  for (int i = 0; i < kJobs; ++i) {
    const Outcome& outcome = jobs[i]->outcome;
    QUIPU_EXPECT(outcome.status.ok() || outcome.status.code == ErrorCode::kAborted);
    QUIPU_EXPECT(outcome.status.ok() || i % 5 == 2 || round % 2 == 1);
    if (outcome.status.ok()) QUIPU_EXPECT(memcmp(jobs[i]->reads[0].data.data(), &i, sizeof(int)) == 0);
  }
  return kJobs;
}

// A device that closes ends the run that is in flight, which nobody else has cancelled.
void closeInMidRun() {
  std::unique_ptr<RunQueue> queue;
  QUIPU_EXPECT(RunQueue::start(queue).ok());
  std::atomic<bool> begun{false}, ended{false};
  auto device = std::make_shared<Device>(std::move(queue), std::make_unique<EndlessBackend>(begun), 1);
  auto job = std::make_shared<Job>();
  job->cancel = std::make_shared<CancelFlag>();
  job->done = [&ended] { ended = true; };
  device->run(job);
  begun.wait(false);
  device->close();
  QUIPU_EXPECT(ended && job->outcome.status.code == ErrorCode::kAborted);
}

// Jobs that wait are ended, one by its flag and the rest with their device, when there is no memory at all.
void endWithoutMemory() {
  std::unique_ptr<RunQueue> queue;
  QUIPU_EXPECT(RunQueue::start(queue).ok());
  cpu::ThreadPool pool;
  const auto counts = std::make_shared<Counts>();
  auto device = std::make_shared<Device>(std::move(queue), std::make_unique<AddingBackend>(pool, 1, counts), 1);
  std::atomic<bool> begun{false}, mayEnd{false};
  std::vector<std::shared_ptr<Job>> jobs;
  int ended = 0;
  std::vector<std::shared_ptr<CancelFlag>> flags;
  for (int i = 0; i < 5; ++i) {
    auto job = jobs.emplace_back(std::make_shared<Job>());
    job->cancel = flags.emplace_back(std::make_shared<CancelFlag>());
    job->done = [&, i] {
      if (i > 0) {
        QUIPU_EXPECT(jobs[i]->outcome.status.code == ErrorCode::kAborted);
        ended += 1;
        mayEnd = ended == 4;
        mayEnd.notify_one();
      } else {
        begun = true;
        begun.notify_one();
        mayEnd.wait(false);
      }
    };
  }
  for (const auto& job : jobs) device->run(job);
  begun.wait(false);
  refusesMemory = true;
  device->cancel(*flags[2]);
  device->close();
  refusesMemory = false;
  QUIPU_EXPECT(ended == 4);
}

}  // namespace

uint64_t testThreads(uint64_t rounds) {
  endWithoutMemory();
  closeInMidRun();
  disposeOfPrograms();
  useInTurn();
  std::atomic<uint64_t> runs{0};
  for (uint64_t round = 0; round < rounds; ++round) runs += useAhead(round);
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

#include "reference/backend.h"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "core/free.h"
#include "core/thread.h"

namespace quipu::reference {

namespace {

class ReferenceMemory final : public Memory {
 public:
  ReferenceMemory(Freed<std::byte> data, size_t bytes, uint32_t indexBound, bool writable)
      : Memory(bytes, indexBound, writable, bytes), data_(std::move(data)) {}

  std::byte* data() const { return data_.get(); }

 private:
  void release() override { data_.reset(); }

  Freed<std::byte> data_;
};

std::byte* addressOf(const Memory& memory) { return static_cast<const ReferenceMemory&>(memory).data(); }

Status zeroed(size_t bytes, Freed<std::byte>& out) {
  out.reset(static_cast<std::byte*>(calloc(std::max<size_t>(bytes, 1), 1)));
  if (out != nullptr) return {};
  return Status::error(ErrorCode::kOutOfMemory, "the system refused " + std::to_string(bytes) + " bytes of memory");
}

struct Step {
  Kernel kernel;
  Call call;
  std::vector<Leading> leading;  // of its operands
};

class ReferenceExecutable final : public Executable {
 public:
  explicit ReferenceExecutable(std::atomic<size_t>& arenaBytes) : total_(arenaBytes) {}
  ~ReferenceExecutable() override { total_ -= bytes_; }

  Status load(const Program& program) {
    if (Status status = zeroed(program.arenaBytes(), arena_); !status.ok()) return status;
    bytes_ = program.arenaBytes();
    total_ += bytes_;
    for (const Op& op : program.ops()) {
      const Kernel kernel = kernelOf(op.code);
      if (kernel == nullptr) {
        return Status::error(ErrorCode::kInternal, std::string("the reference has no kernel of ") + nameOf(op.code));
      }
      Step& step = steps_.emplace_back(Step{kernel, {{}, op.attributes}, {}});
      for (uint32_t i = 0; i < op.operandCount; ++i) {
        const Tensor& t = program.tensors()[op.operands[i]];
        const bool inArena = program.inArena(t);
        std::byte* base = inArena ? arena_.get() : addressOf(program.bufferOf(t));
        const uint32_t bound = inArena ? 0 : program.bufferOf(t).indexBound();
        step.leading.push_back(t.leading);
        step.call.operands.push_back({base + t.offset, t.dtype, {t.dims[0], t.dims[1], t.dims[2], t.dims[3]}, bound});
      }
    }
    return {};
  }

  Outcome run(const Submission& submission) {
    Outcome outcome;
    setCounts(submission.counts);
    for (uint32_t op = 0; op < steps_.size(); ++op) {
      if (submission.cancelled) {
        outcome.status = Status::error(ErrorCode::kAborted, "the run was cancelled");
        return outcome;
      }
      steps_[op].kernel(steps_[op].call, [&](ErrorCode code, uint32_t row) {
        const uint64_t word = wordOf({op, code, row});
        if (submission.byRow && isOfRow(code)) {
          outcome.rows.push_back(word);
          return true;
        }
        outcome.failure = word;
        return false;
      });
      if (outcome.failure != 0) return outcome;
    }
    return outcome;
  }

 private:
  // On the device's thread, where runs come one after another.
  void setCounts(const RowCounts& counts) {
    for (Step& step : steps_) {
      for (size_t i = 0; i < step.leading.size(); ++i) {
        if (step.leading[i] != Leading::kFixed) step.call.operands[i].dims[0] = counts.of(step.leading[i]);
      }
    }
  }

  std::atomic<size_t>& total_;
  size_t bytes_ = 0;
  Freed<std::byte> arena_;
  std::vector<Step> steps_;
};

Outcome perform(const Submission& submission) {
  Outcome outcome;
  for (const MemoryWrite& write : submission.writes) {
    std::copy(write.data.begin(), write.data.end(), addressOf(*write.memory) + write.offset);
  }
  if (submission.executable != nullptr) {
    outcome = static_cast<ReferenceExecutable&>(*submission.executable).run(submission);
    if (!outcome.status.ok() || outcome.failure != 0) return outcome;
  }
  for (MemoryRead& read : submission.reads) {
    std::copy_n(addressOf(*read.memory) + read.offset, read.data.size(), read.data.begin());
  }
  return outcome;
}

}  // namespace

Status ReferenceBackend::start(std::unique_ptr<Backend>& out) {
  std::unique_ptr<ReferenceBackend> backend(new ReferenceBackend());
  if (!startThread(backend->thread_, [raw = backend.get()] { raw->loop(); })) return threadRefused();
  out = std::move(backend);
  return {};
}

ReferenceBackend::~ReferenceBackend() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : thread_) thread.join();
}

Status ReferenceBackend::allocate(size_t bytes, uint32_t indexBound, bool, std::shared_ptr<Memory>& out) {
  Freed<std::byte> data;
  if (Status status = zeroed(bytes, data); !status.ok()) return status;
  out = std::make_shared<ReferenceMemory>(std::move(data), bytes, indexBound, true);
  return {};
}

Status ReferenceBackend::place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t,
                               std::shared_ptr<Memory>& out) {
  Freed<std::byte> data;
  if (Status status = zeroed(bytes, data); !status.ok()) return status;
  std::copy_n(file->data() + offset, bytes, data.get());
  out = std::make_shared<ReferenceMemory>(std::move(data), bytes, 0, false);
  return {};
}

Status ReferenceBackend::load(const Program& program, std::unique_ptr<Executable>& out) {
  auto executable = std::make_unique<ReferenceExecutable>(arenaBytes_);
  if (Status status = executable->load(program); !status.ok()) return status;
  out = std::move(executable);
  return {};
}

Ticket ReferenceBackend::submit(const Submission& submission) {
  std::list<Flight> flight;
  flight.push_back({submission, {}, false});
  {
    const std::lock_guard lock(mutex_);
    flights_.splice(flights_.end(), flight);
  }
  changed_.notify_all();
  return tickets_++;
}

// The queue waits for the oldest.
Outcome ReferenceBackend::wait(Ticket) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return flights_.front().done; });
  Outcome outcome = std::move(flights_.front().outcome);
  flights_.pop_front();
  return outcome;
}

void ReferenceBackend::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto next = std::find_if(flights_.begin(), flights_.end(), [](const Flight& flight) { return !flight.done; });
    if (next == flights_.end()) {
      if (closing_) return;
      changed_.wait(lock);
      continue;
    }
    lock.unlock();
    try {
      next->outcome = perform(next->submission);
    } catch (const std::bad_alloc&) {
      next->outcome = {{ErrorCode::kOutOfMemory, {}}};
    }
    lock.lock();
    next->done = true;
    changed_.notify_all();
  }
}

}  // namespace quipu::reference

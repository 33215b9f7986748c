#include "cpu/backend.h"

#include <algorithm>
#include <string>
#include <utility>

namespace quipu::cpu {

namespace {

// Keeps the first failure.
void note(std::atomic<uint64_t>& word, const Failure& failure) {
  uint64_t none = 0;
  word.compare_exchange_strong(none, wordOf(failure), std::memory_order_relaxed);
}

// A row's failure is kept in its own word, and the thread goes on; others end the run.
class PhaseWorker final : public Worker {
 public:
  PhaseWorker(ThreadTeam::Claims& claims, uint32_t op, std::atomic<uint64_t>& failure, std::atomic<uint64_t>* rows)
      : claims_(claims), op_(op), failure_(failure), rows_(rows) {}

  bool next(size_t& task) override { return claims_.next(task); }
  void fail(ErrorCode code, uint32_t row) override {
    if (rows_ != nullptr && isOfRow(code)) return note(rows_[row], {op_, code, row});
    note(failure_, {op_, code, row});
    claims_.stop();
  }

 private:
  ThreadTeam::Claims& claims_;
  const uint32_t op_;
  std::atomic<uint64_t>& failure_;
  std::atomic<uint64_t>* const rows_;  // null where all failures end the run
};

// What fails leaves nothing, never a size without its memory.
//
// @param filled whether every run fills it, as those of a training do, whose products are 5 to 9 % faster where pages
// are large. Runs of a model have as many rows as there are: a few of them touch a little of each value, and pages that
// are large would be 10 MiB for nothing where SmolLM2 has a short prompt.
Status grow(std::shared_ptr<HostMemory>& memory, size_t bytes, bool filled) {
  if (memory != nullptr && memory->bytes() >= bytes) return {};
  memory.reset();
  return HostMemory::allocate(heldBytes(bytes), 0, filled, memory);
}

void fit(std::shared_ptr<HostMemory>& memory, size_t bytes) {
  if (memory == nullptr) return;
  if (bytes == 0) {
    memory.reset();
  } else {
    memory->shrink(bytes);
  }
}

}  // namespace

namespace {

// Of all executables of the process, which share the threads; all are made on the one thread of the queue.
uint64_t executablesMade = 0;

// The same for runs of an executable that have as many rows, and seldom for others: what such a run takes is compared.
uint64_t identityOf(uint64_t executable, const RowCounts& counts) {
  return executable << 40 ^ uint64_t { counts.rows } << 20 ^ counts.wanted;
}

View viewOf(const Tensor& t, std::byte* data, uint32_t bound) {
  return {data, t.dtype, {t.dims[0], t.dims[1], t.dims[2], t.dims[3]}, bound};
}

}  // namespace

void Workspace::add(const Kernel& kernel, const OpCall& call) {
  const size_t scratch = kernel.scratchBytes == nullptr ? 0 : kernel.scratchBytes(call);
  scratchBytes = std::max(scratchBytes, (scratch + kAlignment - 1) / kAlignment * kAlignment);
  if (kernel.sharedBytes != nullptr) sharedBytes = std::max(sharedBytes, kernel.sharedBytes(call));
}

Workspace Workspace::of(const Target& target, const Program& program) {
  Workspace workspace;
  for (const Op& op : program.ops()) {
    View views[kMaxOperands];
    for (uint32_t i = 0; i < op.operandCount; ++i) views[i] = viewOf(program.tensors()[op.operands[i]], nullptr, 0);
    workspace.add(target.kernels[static_cast<uint32_t>(op.code)], {views, op.operandCount, op.attributes});
  }
  return workspace;
}

size_t heldBytes(size_t bytes) { return std::max(bytes, kAlignment); }

// Less is copied from a mapped file: a vector of 4 KiB would keep the file, and the 2 MiB around it, in memory, of
// which nobody needs the rest where the other weights are packed.
constexpr size_t kSmallBytes = 1 << 16;

CpuExecutable::CpuExecutable(CpuBackend& backend, const Program& program)
    : backend_(backend),
      number_(++executablesMade),
      counts_(program.capacity()),
      arenaBytes_(program.arenaBytes()),
      rows_(failingRows(program)),
      isFilled_(program.capacity() == RowCounts()) {
  size_t operands = 0;
  for (const Op& op : program.ops()) operands += op.operandCount;
  views_.reserve(operands);  // calls_ points into it
  calls_.reserve(program.ops().size());
  for (const Op& op : program.ops()) {
    const View* first = views_.data() + views_.size();
    for (uint32_t i = 0; i < op.operandCount; ++i) {
      const Tensor& t = program.tensors()[op.operands[i]];
      std::byte* data = nullptr;
      uint32_t bound = 0;
      if (program.inArena(t)) {
        arenaViews_.push_back({static_cast<uint32_t>(views_.size()), t.offset});
      } else {
        data = addressOf(program.bufferOf(t)) + t.offset;
        bound = program.bufferOf(t).indexBound();
      }
      if (t.leading != Leading::kFixed) leadingViews_.push_back({static_cast<uint32_t>(views_.size()), t.leading});
      views_.push_back(viewOf(t, data, bound));
    }
    const OpCall& call = calls_.emplace_back(OpCall{first, op.operandCount, op.attributes});
    const Kernel& kernel = backend.target_.kernels[static_cast<uint32_t>(op.code)];
    for (const Phase& phase : kernel.phases) {
      if (phase.run != nullptr) steps_.push_back({static_cast<uint32_t>(calls_.size() - 1), &phase});
    }
    workspace_.add(kernel, call);
  }
  backend.executables_.push_back(this);
}

CpuExecutable::~CpuExecutable() { backend_.forget(*this); }

void CpuExecutable::placeArena(std::byte* arena) {
  if (arena == arena_) return;
  arena_ = arena;
  for (const ArenaView& at : arenaViews_) views_[at.view].data = arena + at.offset;
}

void CpuExecutable::setCounts(const RowCounts& counts) {
  if (counts == counts_) return;
  counts_ = counts;
  for (const LeadingView& at : leadingViews_) views_[at.view].dims[0] = counts.of(at.leading);
}

size_t CpuExecutable::tasks(uint32_t step) {
  const Step& at = steps_[step];
  return at.phase->tasks(calls_[at.op], backend_.threads_);
}

void CpuExecutable::perform(uint32_t step, uint32_t thread, ThreadTeam::Claims& claims) {
  const Step& at = steps_[step];
  PhaseWorker worker(claims, at.op, backend_.failure_, backend_.byRow_ ? backend_.rowFailures_.data() : nullptr);
  worker.threads = backend_.threads_;
  worker.scratch = backend_.scratch_->data() + thread * backend_.scratchBytes_;
  worker.shared = backend_.shared_->data();
  at.phase->run(calls_[at.op], worker);
}

Status CpuBackend::allocate(size_t bytes, uint32_t indexBound, bool filled, std::shared_ptr<Memory>& out) {
  std::shared_ptr<HostMemory> memory;
  if (Status status = HostMemory::allocate(bytes, indexBound, filled, memory); !status.ok()) return status;
  out = std::move(memory);
  return {};
}

Status CpuBackend::place(const std::shared_ptr<const MappedFile>& file, size_t offset, size_t bytes, size_t alignment,
                         std::shared_ptr<Memory>& out) {
  const std::byte* start = file->data() + offset;
  const bool isSmall = file->mapped() && !file->writable() && bytes < kSmallBytes;
  if (!isSmall && reinterpret_cast<uintptr_t>(start) % alignment == 0) {
    out = HostMemory::view(start, bytes, file->mapped() ? 0 : bytes, file, file->writable());
    return {};
  }
  // The safetensors format promises no alignment of a tensor, the kernels want that of its format.
  std::shared_ptr<HostMemory> copy;
  if (Status status = HostMemory::allocate(bytes, 0, true, copy); !status.ok()) return status;
  std::copy_n(start, bytes, copy->data());
  if (isSmall) dropPages(start, bytes);
  out = HostMemory::view(copy->data(), bytes, bytes, copy, false);
  return {};
}

Status CpuBackend::load(const Program& program, std::unique_ptr<Executable>& out) {
  std::unique_ptr<CpuExecutable> executable(new CpuExecutable(*this, program));
  if (executable->rows_ > rowFailures_.size()) rowFailures_ = std::vector<std::atomic<uint64_t>>(executable->rows_);
  out = std::move(executable);
  return {};
}

// Arena and workspace for a run of this executable: those of others are not asked for here, so that one that is too
// large fails alone.
Status CpuBackend::makeRoom(const CpuExecutable& executable) {
  const bool filled = executable.isFilled_;
  Status status = grow(arena_, executable.arenaBytes_, filled);
  // Where more was refused there is none: what the size was before says nothing then.
  if (status.ok() && (scratch_ == nullptr || executable.workspace_.scratchBytes > scratchBytes_)) {
    status = grow(scratch_, executable.workspace_.scratchBytes * threads_, filled);
    if (status.ok()) scratchBytes_ = executable.workspace_.scratchBytes;
  }
  if (status.ok()) status = grow(shared_, executable.workspace_.sharedBytes, filled);
  count();
  return status;
}

void CpuBackend::forget(const CpuExecutable& executable) {
  std::erase(executables_, &executable);
  size_t arena = 0, scratch = 0, shared = 0;
  for (const CpuExecutable* other : executables_) {
    arena = std::max(arena, other->arenaBytes_);
    scratch = std::max(scratch, other->workspace_.scratchBytes);
    shared = std::max(shared, other->workspace_.sharedBytes);
  }
  fit(arena_, arena);
  scratchBytes_ = std::min(scratchBytes_, scratch);
  fit(scratch_, scratchBytes_ * threads_);
  fit(shared_, shared);
  count();
}

void CpuBackend::count() {
  size_t bytes = 0;
  for (const HostMemory* memory : {arena_.get(), scratch_.get(), shared_.get()}) {
    bytes += memory == nullptr ? 0 : memory->bytes();
  }
  workspaceBytes_.store(bytes, std::memory_order_relaxed);
}

Ticket CpuBackend::submit(const Submission& submission) {
  outcome_ = {};
  for (const MemoryWrite& write : submission.writes) {
    std::copy(write.data.begin(), write.data.end(), addressOf(*write.memory) + write.offset);  // null where it is empty
  }
  if (submission.executable != nullptr) {
    outcome_.status = run(static_cast<CpuExecutable&>(*submission.executable), submission);
    if (!outcome_.status.ok() || outcome_.failure != 0) return 0;
  }
  for (MemoryRead& read : submission.reads) {
    std::copy_n(addressOf(*read.memory) + read.offset, read.data.size(), read.data.begin());
  }
  return 0;  // one is in flight at a time
}

Status CpuBackend::run(CpuExecutable& executable, const Submission& submission) {
  if (Status status = makeRoom(executable); !status.ok()) return status;
  outcome_.rows.reserve(executable.rows_);  // no memory is taken when it has run: what is refused has not
  executable.placeArena(arena_->data());
  executable.setCounts(submission.counts);
  byRow_ = submission.byRow;
  failure_.store(0, std::memory_order_relaxed);
  for (size_t row = 0; row < executable.rows_; ++row) rowFailures_[row].store(0, std::memory_order_relaxed);
  pool_.run(executable, identityOf(executable.number_, submission.counts),
            static_cast<uint32_t>(executable.steps_.size()), threads_, submission.cancelled);
  outcome_.failure = failure_.load(std::memory_order_relaxed);
  if (outcome_.failure != 0) return {};
  if (submission.cancelled) return Status::error(ErrorCode::kAborted, "the run was cancelled");
  for (size_t row = 0; row < executable.rows_; ++row) {
    const uint64_t failure = rowFailures_[row].load(std::memory_order_relaxed);
    if (failure != 0) outcome_.rows.push_back(failure);
  }
  return {};
}

}  // namespace quipu::cpu

#include "cpu/backend.h"

#include <algorithm>
#include <string>

namespace quipu::cpu {

namespace {

// A failure in one word: op (24 bits), code (8 bits, never 0: it is not kOk), row (32 bits).
uint64_t failureWord(uint32_t op, ErrorCode code, uint32_t row) {
  return uint64_t{op} << 40 | static_cast<uint64_t>(code) << 32 | row;
}

class PhaseWorker final : public Worker {
 public:
  PhaseWorker(ThreadTeam::Claims& claims, uint32_t op, std::atomic<uint64_t>& failure)
      : claims_(claims), op_(op), failure_(failure) {}

  bool next(size_t& task) override { return claims_.next(task); }
  void fail(ErrorCode code, uint32_t row) override {
    uint64_t none = 0;
    failure_.compare_exchange_strong(none, failureWord(op_, code, row), std::memory_order_relaxed);
    claims_.stop();
  }

 private:
  ThreadTeam::Claims& claims_;
  const uint32_t op_;
  std::atomic<uint64_t>& failure_;
};

Status grow(std::shared_ptr<Buffer>& buffer, size_t bytes) {
  if (buffer != nullptr && buffer->bytes() >= bytes) return {};
  buffer.reset();
  return Buffer::allocate(std::max(bytes, kAlignment), 0, buffer);
}

}  // namespace

// Arena and the kernels' workspace; what fails leaves less than there was, never a size without its memory.
Status CpuBackend::makeRoom(size_t arena, size_t scratch, size_t shared) {
  Status status = grow(arena_, arena);
  if (status.ok() && scratch > scratchBytes_) {
    scratchBytes_ = 0;
    status = grow(scratch_, scratch * threads_);
    if (status.ok()) scratchBytes_ = scratch;
  }
  if (status.ok()) status = grow(shared_, shared);
  size_t bytes = 0;
  for (const auto& buffer : {arena_, scratch_, shared_}) bytes += buffer == nullptr ? 0 : buffer->bytes();
  workspaceBytes_.store(bytes, std::memory_order_relaxed);
  return status;
}

Status CpuBackend::prepare(const std::shared_ptr<const Program>& program) {
  if (program == program_) return {};
  program_.reset();
  size_t operands = 0;
  for (const Op& op : program->ops()) operands += op.operandCount;
  views_.clear();
  views_.reserve(operands);  // calls_ points into it
  calls_.clear();
  calls_.reserve(program->ops().size());
  steps_.clear();
  if (Status status = makeRoom(program->arenaBytes(), 0, 0); !status.ok()) return status;
  size_t scratch = 0, shared = 0;
  for (const Op& op : program->ops()) {
    const View* first = views_.data() + views_.size();
    for (uint32_t i = 0; i < op.operandCount; ++i) {
      const Tensor& t = program->tensors()[op.operands[i]];
      const uint32_t bound = program->inArena(t) ? 0 : program->bufferOf(t).indexBound();
      views_.push_back(
          {program->address(t, arena_->data()), t.dtype, {t.dims[0], t.dims[1], t.dims[2], t.dims[3]}, bound});
    }
    const OpCall& call = calls_.emplace_back(OpCall{first, op.operandCount, op.attributes});
    const Kernel& kernel = target_.kernels[static_cast<uint32_t>(op.code)];
    for (const Phase& phase : kernel.phases) {
      if (phase.run != nullptr) steps_.push_back({static_cast<uint32_t>(calls_.size() - 1), &phase});
    }
    if (kernel.scratchBytes != nullptr) scratch = std::max(scratch, kernel.scratchBytes(call));
    if (kernel.sharedBytes != nullptr) shared = std::max(shared, kernel.sharedBytes(call));
  }
  scratch = (scratch + kAlignment - 1) / kAlignment * kAlignment;
  if (Status status = makeRoom(program->arenaBytes(), scratch, shared); !status.ok()) return status;
  program_ = program;
  return {};
}

Status CpuBackend::run(const std::atomic<bool>& cancelled) {
  failure_.store(0, std::memory_order_relaxed);
  const auto identity = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(program_.get()));
  pool_.run(*this, identity, static_cast<uint32_t>(steps_.size()), threads_, cancelled);
  if (const uint64_t failure = failure_.load(std::memory_order_relaxed); failure != 0) return failureOf(failure);
  if (cancelled) return Status::error(ErrorCode::kAborted, "the run was cancelled");
  return {};
}

size_t CpuBackend::tasks(uint32_t step) {
  const Step& at = steps_[step];
  return at.phase->tasks(calls_[at.op], threads_);
}

void CpuBackend::perform(uint32_t step, uint32_t thread, ThreadTeam::Claims& claims) {
  const Step& at = steps_[step];
  PhaseWorker worker(claims, at.op, failure_);
  worker.threads = threads_;
  worker.scratch = scratch_ == nullptr ? nullptr : scratch_->data() + thread * scratchBytes_;
  worker.shared = shared_->data();
  at.phase->run(calls_[at.op], worker);
}

Status CpuBackend::failureOf(uint64_t failure) const {
  const auto op = static_cast<uint32_t>(failure >> 40), row = static_cast<uint32_t>(failure);
  const auto code = static_cast<ErrorCode>((failure >> 32) & 0xFF);
  const std::string where = std::string(nameOf(program_->ops()[op].code)) + ", row " + std::to_string(row);
  return Status::error(code,
                       "op " + std::to_string(op) + " (" + where + ") met an index that its operands do not allow");
}

}  // namespace quipu::cpu

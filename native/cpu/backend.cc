#include "cpu/backend.h"

#include <algorithm>
#include <string>

namespace quipu::cpu {

namespace {

class TeamWorker final : public Worker {
 public:
  TeamWorker(Team& team, uint32_t thread, uint32_t threads, std::byte* threadScratch, std::byte* common) : team_(team) {
    index = thread;
    count = threads;
    scratch = threadScratch;
    shared = common;
  }
  size_t next(size_t tasks) override { return team_.next(tasks); }
  bool barrier() override { return team_.barrier(); }
  void fail(ErrorCode code, uint32_t row) override {
    // Op, code and row in one word, never 0: code is not kOk.
    team_.fail((op << 16) | (static_cast<uint32_t>(code) << 12) | (row & 0xFFF));
  }

  uint32_t op = 0;

 private:
  Team& team_;
};

Status grow(std::shared_ptr<Buffer>& buffer, size_t bytes) {
  if (buffer != nullptr && buffer->bytes() >= bytes) return {};
  buffer.reset();
  return Buffer::allocate(std::max(bytes, kAlignment), 0, buffer);
}

}  // namespace

CpuBackend::CpuBackend(const Target& target, uint32_t threads) : target_(target), pool_(threads), team_(pool_.size()) {}

size_t CpuBackend::workspaceBytes() const {
  size_t bytes = 0;
  for (const auto& buffer : {arena_, scratch_, shared_}) bytes += buffer == nullptr ? 0 : buffer->bytes();
  return bytes;
}

Status CpuBackend::prepare(const std::shared_ptr<const Program>& program) {
  if (program == program_) return {};
  program_.reset();
  if (Status status = grow(arena_, program->arenaBytes()); !status.ok()) return status;

  size_t operands = 0;
  for (const Op& op : program->ops()) operands += op.operandCount;
  views_.clear();
  views_.reserve(operands);  // calls_ points into it
  calls_.clear();
  calls_.reserve(program->ops().size());
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
    if (kernel.scratchBytes != nullptr) scratch = std::max(scratch, kernel.scratchBytes(call));
    if (kernel.sharedBytes != nullptr) shared = std::max(shared, kernel.sharedBytes(call));
  }
  scratch = (scratch + kAlignment - 1) / kAlignment * kAlignment;
  if (scratch > scratchBytes_) {
    if (Status status = grow(scratch_, scratch * pool_.size()); !status.ok()) return status;
    scratchBytes_ = scratch;
  }
  if (Status status = grow(shared_, shared); !status.ok()) return status;
  program_ = program;
  return {};
}

Status CpuBackend::run(const std::atomic<bool>& cancelled) {
  team_.begin(cancelled);
  pool_.run([this](uint32_t thread) { runOps(thread); });
  if (team_.failure() != 0) return failureOf(team_.failure());
  if (cancelled) return Status::error(ErrorCode::kAborted, "the run was cancelled");
  return {};
}

void CpuBackend::runOps(uint32_t thread) {
  std::byte* scratch = scratch_ == nullptr ? nullptr : scratch_->data() + thread * scratchBytes_;
  TeamWorker worker(team_, thread, pool_.size(), scratch, shared_->data());
  const std::vector<Op>& ops = program_->ops();
  for (uint32_t i = 0; i < ops.size(); ++i) {
    worker.op = i;
    target_.kernels[static_cast<uint32_t>(ops[i].code)].run(calls_[i], worker);
    if (!team_.barrier()) return;
  }
}

Status CpuBackend::failureOf(uint32_t failure) const {
  const uint32_t op = failure >> 16, row = failure & 0xFFF;
  const auto code = static_cast<ErrorCode>((failure >> 12) & 0xF);
  const std::string where = std::string(nameOf(program_->ops()[op].code)) + ", row " + std::to_string(row);
  if (code == ErrorCode::kNotANumber) {
    return Status::error(code, "a logit is not a number (" + where +
                                   "): the checkpoint holds NaN or infinite weights, or its activations overflow");
  }
  return Status::error(code,
                       "op " + std::to_string(op) + " (" + where + ") met an index that its operands do not allow");
}

}  // namespace quipu::cpu

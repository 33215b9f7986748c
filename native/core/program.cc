#include "core/program.h"

#include <string>

namespace quipu {

namespace {

Status malformed(const std::string& what) { return Status::error(ErrorCode::kInternal, "malformed program: " + what); }

// Reads words in order; `good` turns false when the stream ends early.
struct Reader {
  const std::vector<uint32_t>& words;
  size_t position = 0;
  bool good = true;

  uint32_t word() {
    if (position >= words.size()) {
      good = false;
      return 0;
    }
    return words[position++];
  }
  uint64_t wide() {
    const uint64_t low = word();
    return low | (static_cast<uint64_t>(word()) << 32);
  }
};

}  // namespace

Status Program::parse(std::vector<uint32_t> stream, std::vector<std::shared_ptr<Memory>> buffers,
                      std::shared_ptr<const Program>& out) {
  auto program = std::shared_ptr<Program>(new Program());
  program->stream_ = std::move(stream);
  program->buffers_ = std::move(buffers);
  Reader in{program->stream_};
  if (in.word() != kProgramMagic || in.word() != kProgramVersion) return malformed("wrong magic or version");
  program->arenaBytes_ = in.wide();
  program->capacity_.rows = in.word();
  program->capacity_.wanted = in.word();
  const uint32_t tensorCount = in.word();
  const uint32_t opCount = in.word();
  if (!in.good || tensorCount > program->stream_.size() || opCount > program->stream_.size())
    return malformed("header");

  program->tensors_.reserve(tensorCount);
  for (uint32_t i = 0; i < tensorCount; ++i) {
    Tensor t{};
    t.buffer = in.word();
    t.offset = in.wide();
    const uint32_t dtype = in.word();
    t.rank = in.word();
    const uint32_t leading = in.word();
    for (uint32_t& dim : t.dims) dim = in.word();
    const std::string name = "tensor " + std::to_string(i);
    if (!in.good || dtype >= kDTypeCount || t.rank > 4 || leading >= kLeadingCount) return malformed(name);
    t.dtype = static_cast<DType>(dtype);
    t.leading = static_cast<Leading>(leading);
    if (t.leading != Leading::kFixed && (t.rank == 0 || t.dims[0] != program->capacity_.of(t.leading)))
      return malformed(name + " has not as many rows as the program");
    for (uint32_t d = t.rank; d < 4; ++d) {
      if (t.dims[d] != 1) return malformed(name + " has dims beyond its rank");
    }
    const unsigned __int128 bytes = bytesOf(t.dtype, t.rank, t.dims);
    if (t.buffer != kArenaBuffer && t.buffer >= program->buffers_.size()) return malformed(name + " names no buffer");
    const size_t room = program->inArena(t) ? program->arenaBytes_ : program->bufferOf(t).bytes();
    if (t.offset > room || bytes > room - t.offset) return malformed(name + " leaves its buffer");
    if (t.offset % formatOf(t.dtype).alignment != 0) return malformed(name + " is not aligned");
    t.bytes = static_cast<size_t>(bytes);
    program->tensors_.push_back(t);
  }

  program->ops_.reserve(opCount);
  for (uint32_t i = 0; i < opCount; ++i) {
    Op op{};
    const uint32_t code = in.word();
    op.operandCount = in.word();
    op.attributeCount = in.word();
    const std::string name = "op " + std::to_string(i);
    if (!in.good || code >= kOpCount || op.operandCount > kMaxOperands) return malformed(name);
    op.code = static_cast<OpCode>(code);
    for (uint32_t k = 0; k < op.operandCount; ++k) {
      op.operands[k] = in.word();
      if (op.operands[k] >= tensorCount) return malformed(name + " names no tensor");
    }
    op.attributes = program->stream_.data() + in.position;
    if (op.attributeCount > program->stream_.size() - in.position) return malformed(name + " attributes");
    in.position += op.attributeCount;
    if (!in.good) return malformed(name);
    if (Status status = validate(op, *program); !status.ok()) {
      return malformed(name + " (" + nameOf(op.code) + "): " + status.message);
    }
    program->ops_.push_back(op);
  }
  if (in.position != program->stream_.size()) return malformed("words after the last op");
  out = std::move(program);
  return {};
}

Status Program::fits(const RowCounts& counts) const {
  if (counts.rows <= capacity_.rows && counts.wanted <= capacity_.wanted) return {};
  const auto words = [](const RowCounts& of) {
    return std::to_string(of.rows) + " rows, " + std::to_string(of.wanted) + " of them wanted";
  };
  return Status::error(ErrorCode::kInternal,
                       "a run of " + words(counts) + ": the program is made for " + words(capacity_));
}

}  // namespace quipu

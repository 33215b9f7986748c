#include "core/failure.h"

#include <algorithm>
#include <string>

namespace quipu {

size_t failingRows(const Program& program) {
  size_t most = 0;
  const auto count = [&](const Op& op, uint32_t ids) {
    most = std::max<size_t>(most, program.tensors()[op.operands[ids]].dims[0]);
  };
  for (const Op& op : program.ops()) {
    if (op.code == OpCode::kSample) count(op, sample::kIds);
    if (op.code == OpCode::kMatmulSample) count(op, matmul_sample::kIds);
  }
  return most;
}

Status describe(const Failure& failure, const Program& program) {
  const std::string where =
      std::string(nameOf(program.ops()[failure.op].code)) + ", row " + std::to_string(failure.row);
  if (failure.code == ErrorCode::kNotANumber) {
    return Status::error(failure.code,
                         "a logit is not a number (" + where +
                             "): the checkpoint holds NaN or infinite weights, or its activations overflow");
  }
  if (failure.code == ErrorCode::kAllForbidden) {
    return Status::error(failure.code, "the biases forbid every id (" + where + "): allow at least one");
  }
  return Status::error(failure.code, "op " + std::to_string(failure.op) + " (" + where +
                                         ") met an index that its operands do not allow");
}

}  // namespace quipu

// What a kernel has to say against the contents that it met. A device keeps it as words in its own memory, one for the
// run and one for each row that fails alone, which come back with the reads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "core/program.h"

namespace quipu {

struct Failure {
  uint32_t op;  // in Program::ops()
  ErrorCode code;
  uint32_t row;  // of the op
};

// As a word; never 0: op (24 bits), code (8 bits, not kOk), row (32 bits).
constexpr uint64_t wordOf(const Failure& failure) {
  return uint64_t{failure.op} << 40 | static_cast<uint64_t>(failure.code) << 32 | failure.row;
}
constexpr Failure failureOf(uint64_t word) {
  return {static_cast<uint32_t>(word >> 40), static_cast<ErrorCode>((word >> 32) & 0xFF), static_cast<uint32_t>(word)};
}

// Whether such a failure is one row's own, so that a run that is told apart by row goes on with the others. An index
// that no operand allows is a fault of the program's author and ends the run.
constexpr bool isOfRow(ErrorCode code) { return code == ErrorCode::kNotANumber || code == ErrorCode::kAllForbidden; }

// Rows that may fail alone: those that sample, or are a part of an op that does.
size_t failingRows(const Program& program);

// What to tell of it.
Status describe(const Failure& failure, const Program& program);

}  // namespace quipu

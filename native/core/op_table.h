// The ops that a program may name, and the check that makes each safe to run. What the table says is made of
// src/graph/ops.ts by scripts/op-table.js: here are the forms of its rows, and after them the rows themselves, with an
// enum of each op's operands in a namespace of its name (matmul::kA).
#pragma once

#include <cstdint>
#include <span>

#include "core/error.h"
#include "core/formats.h"

namespace quipu {

struct Op;
class Program;

using Letter = uint8_t;  // the place of a letter in its op's list, from 1; 0: none

// A dim: factor · letters. `binds` is the letter that has its number from this dim, by exact division by all others.
struct Dim {
  uint32_t factor;
  Letter letters[3];
  Letter binds;
};

enum class Role : uint8_t { kRead, kUpdated, kResult };

struct OperandRow {
  const char* name;
  Role role;
  uint8_t dtypes;    // those allowed, a bit each
  int8_t like;       // the operand whose dtype it has; −1: none
  bool index;        // contents are addresses: they lie in [−1, bound) by the promise of the buffer
  Dim bound;         // factor 0: any bound
  uint32_t inPlace;  // the operands, a bit each, whose very bytes it may be
  uint8_t rank;
  Dim dims[4];
};

struct LetterRow {
  const char* name;
  uint32_t least;
  Letter most;  // the letter that it may not exceed
  bool rows;    // it may be the rows of a run: everywhere it is a first dim by itself, and 0 is allowed
};

struct OpRow {
  const char* name;
  std::span<const OperandRow> operands;  // in the order of the stream
  uint32_t required;                     // how many are always there; the rest, where operand `when` is a `whenDType`
  uint32_t when;
  DType whenDType;
  uint32_t attributes;
  std::span<const LetterRow> letters;
};

#include "core/op_table.inc"

inline const char* nameOf(OpCode code) { return kOpRows[static_cast<uint32_t>(code)].name; }

// Checks one op of `program` (operands are already known to lie inside their buffers).
Status validate(const Op& op, const Program& program);

}  // namespace quipu

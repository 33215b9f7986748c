// What each instruction computes, by the pseudo-code of Intel's Intrinsics Guide, in plain arithmetic on lanes.
#pragma once

#include <string>
#include <unordered_map>

#include "emulated/calls.h"

namespace quipu::test {

// How lanes of a result are compared: bit for bit, but a NaN is a NaN; and the order in which a maximum is taken is
// free, so ±0 and what NaN does to it are as well.
enum class LaneKind : uint8_t { kBits, kF32, kF16, kMaximum };

struct PseudoCode {
  LaneKind kind;
  void (*run)(const Input& in, int imm, Register& out);  // out holds zeros, or the memory that is stored to
};

const std::unordered_map<std::string, PseudoCode>& pseudoCode();

}  // namespace quipu::test

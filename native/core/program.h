// A program: tensors and a list of ops over them, parsed from the u32 stream that src/graph/program.ts writes and
// checked once, so that running it needs no checks. Stream, in 32-bit words (64-bit numbers low word first):
//
//   magic "QUIP", version 2, arena bytes (2), rows, wanted rows, tensors, ops
//   tensor: buffer (0xFFFFFFFF: the arena), byte offset (2), dtype, rank, leading, dims[4]
//   op:     code, operands, attributes, operand tensors…, attribute words…
//
// A program is made for so many rows of a step, and rows wanted of it: its capacity. `leading` marks tensors whose
// first dim is one of these (0: it is none; 1: rows; 2: wanted rows); a run has its own numbers of them, up to the
// capacity. Dims, offsets and bytes are those of the capacity, and what is checked with them holds for every run: a
// first dim is in no stride, so that a run with fewer rows touches nothing but what one with all of them may touch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/formats.h"
#include "core/memory.h"
#include "core/op_table.h"

namespace quipu {

inline constexpr uint32_t kProgramMagic = 0x51554950;
inline constexpr uint32_t kProgramVersion = 2;
inline constexpr uint32_t kArenaBuffer = 0xFFFFFFFF;

// What a first dim is the number of.
enum class Leading : uint32_t { kFixed = 0, kRows = 1, kWanted = 2 };

inline constexpr uint32_t kLeadingCount = 3;

// Rows of a step, and rows wanted of it: of a run, or the most that a program is made for.
struct RowCounts {
  uint32_t rows = 0, wanted = 0;

  uint32_t of(Leading leading) const { return leading == Leading::kRows ? rows : wanted; }
  bool operator==(const RowCounts&) const = default;
};

struct Tensor {
  uint32_t buffer;
  size_t offset;  // bytes
  size_t bytes;
  DType dtype;
  uint32_t rank;
  Leading leading;
  uint32_t dims[4];  // 1 beyond the rank
};

struct Op {
  OpCode code;
  uint32_t operandCount;
  uint32_t attributeCount;
  uint32_t operands[kMaxOperands];
  const uint32_t* attributes;  // into Program's stream
};

class Program {
 public:
  static Status parse(std::vector<uint32_t> stream, std::vector<std::shared_ptr<Memory>> buffers,
                      std::shared_ptr<const Program>& out);

  size_t arenaBytes() const { return arenaBytes_; }
  const RowCounts& capacity() const { return capacity_; }
  // Whether a run may have so many rows.
  Status fits(const RowCounts& counts) const;
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const std::vector<Op>& ops() const { return ops_; }

  bool inArena(const Tensor& tensor) const { return tensor.buffer == kArenaBuffer; }
  const Memory& bufferOf(const Tensor& tensor) const { return *buffers_[tensor.buffer]; }

 private:
  Program() = default;

  std::vector<uint32_t> stream_;
  std::vector<std::shared_ptr<Memory>> buffers_;  // kept alive as long as the program
  std::vector<Tensor> tensors_;
  std::vector<Op> ops_;
  size_t arenaBytes_ = 0;
  RowCounts capacity_;
};

}  // namespace quipu

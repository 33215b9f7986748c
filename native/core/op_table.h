// The ops that a program may name, and the check that makes each safe to run: operand count, dtypes, shapes, index
// bounds, aliasing. src/graph/ops.ts is the same table for the recorder; test/unit/op-table.test.ts holds them
// together.
//
// T rows in the step, R rows wanted, D features, H query heads, K key/value heads, d head size, F feed-forward, V
// vocabulary, S slots, B blocks (pages a slot can hold), P keys in a page, C context positions.
#pragma once

#include <cstdint>

#include "core/error.h"

namespace quipu {

struct Tensor;
struct Op;
class Program;

inline constexpr uint32_t kPageKeys = 64;  // P: keys in a page of the cache, and in a block of the attention order

enum class OpCode : uint32_t {
  kGatherRows = 0,
  kRmsNorm = 1,
  kMatmul = 2,
  kAdd = 3,
  kRopeAngles = 4,
  kRope = 5,
  kAppendKv = 6,
  kAttention = 7,
  kSwiglu = 8,
  kSample = 9,
  kAdvance = 10,
};

inline constexpr uint32_t kOpCount = 11;
inline constexpr uint32_t kMaxOperands = 16;

const char* nameOf(OpCode code);

// Operand positions. Inputs first, then what is written. `state` operands are written in place.
namespace gather_rows {
// table [N, D] f32|f16|bf16, ids [T] i32 → out [T, D] f32: table[ids[t] − firstRow], zeros where that is no row.
enum { kTable, kIds, kOut, kOperands };
enum { kFirstRow, kAttributes };
}  // namespace gather_rows
namespace rms_norm {
// x [T, D] f32, weight [D] f32|f16|bf16 → out [T, D] f32 (out may be x)
enum { kX, kWeight, kOut, kOperands };
enum { kEpsilon /* f32 bits */, kAttributes };
}  // namespace rms_norm
namespace matmul {
// a [T, K] f32, b [N, K] f32|f16|bf16 → out [T, N] f32 = a · bᵀ
enum { kA, kB, kOut, kOperands };
enum { kAttributes };
}  // namespace matmul
namespace add {
// a [T, D] f32, b [T, D] f32 → out [T, D] f32 (out may be a or b)
enum { kA, kB, kOut, kOperands };
enum { kAttributes };
}  // namespace add
namespace rope_angles {
// positions [T] i32, inverseFrequencies [d/2] f32 → out [T, d/2, 2] f32: scale · cos and sin of position · frequency
enum { kPositions, kInverseFrequencies, kOut, kOperands };
enum { kScale /* f32 bits */, kAttributes };
}  // namespace rope_angles
namespace rope {
// x [T, heads · d] f32, angles [T, d/2, 2] f32 → out like x (out may be x): rotates pairs (j, j + d/2) of every head
enum { kX, kAngles, kOut, kOperands };
enum { kInverse /* 1 rotates back */, kAttributes };
}  // namespace rope
namespace append_kv {
// k, v [T, K · d] f32; state keys [pages, K, d, P], values [pages, K, P, d] f32|f16|i8; slots, positions [T] i32;
// pageTable [S, B] i32; i8 caches also have state keyScales, valueScales [pages, K, P] f32.
enum {
  kK,
  kV,
  kSlots,
  kPositions,
  kPageTable,
  kKeys,
  kValues,
  kOperands,
  kKeyScales = kOperands,
  kValueScales,
  kOperandsI8
};
enum { kAttributes };
}  // namespace append_kv
namespace attention {
// q [T, H · d] f32, the cache as above → out [T, H · d] f32 (out may not be q)
enum {
  kQ,
  kKeys,
  kValues,
  kSlots,
  kPositions,
  kPageTable,
  kOut,
  kOperands,
  kKeyScales = kOperands,
  kValueScales,
  kOperandsI8
};
enum { kScale /* f32 bits */, kAttributes };
}  // namespace attention
namespace swiglu {
// gate, up [T, F] f32 → out [T, F] f32 (out may be gate or up) = silu(gate) · up
enum { kGate, kUp, kOut, kOperands };
enum { kAttributes };
}  // namespace swiglu
namespace sample {
// logits [R, V] f32, outputRows [R] i32 (< T), slots, positions [T] i32, history [S, C] i32 (ids by position, −1 none),
// floats [S, kFloats] f32, ints [S, kInts] i32, biasIds [S, n] i32 (−1 ends them), biases [S, n] f32
// → ids [R] i32, logprobs [R] f32, bestIds [R, k] i32, bestLogprobs [R, k] f32. Meaning: docs/numerics.md.
enum {
  kLogits,
  kOutputRows,
  kSlots,
  kPositions,
  kHistory,
  kFloats,
  kInts,
  kBiasIds,
  kBiases,
  kIds,
  kLogprobs,
  kBestIds,
  kBestLogprobs,
  kOperands
};
enum { kAttributes };
enum { kTemperature, kTopP, kMinP, kRepeatPenalty, kPresencePenalty, kFrequencyPenalty, kFloatSettings };
enum { kTopK, kPromptLength, kSeedLow, kSeedHigh, kIntSettings };
}  // namespace sample
namespace advance {
// sampled, outputRows [R] i32, stops [S, n] i32 (−1 unused); state ids, slots, positions [T] i32, history [S, C] i32.
// The row's next id and position become step inputs, the id joins the history; a stop id, a full context or an id of −1
// (the row failed) sets the row's slot to −1 (padding), so further runs of the program leave it alone.
enum { kSampled, kOutputRows, kStops, kIds, kSlots, kPositions, kHistory, kOperands };
enum { kAttributes };
}  // namespace advance

// Checks one op of `program` (operands are already known to lie inside their buffers).
Status validate(const Op& op, const Program& program);

}  // namespace quipu

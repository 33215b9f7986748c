#include "core/op_table.h"

#include <initializer_list>
#include <string>

#include "core/program.h"

namespace quipu {

const char* nameOf(OpCode code) {
  switch (code) {
    case OpCode::kGatherRows:
      return "gatherRows";
    case OpCode::kRmsNorm:
      return "rmsNorm";
    case OpCode::kMatmul:
      return "matmul";
    case OpCode::kAdd:
      return "add";
    case OpCode::kRopeAngles:
      return "ropeAngles";
    case OpCode::kRope:
      return "rope";
    case OpCode::kAppendKv:
      return "appendKv";
    case OpCode::kAttention:
      return "attention";
    case OpCode::kSwiglu:
      return "swiglu";
    case OpCode::kSample:
      return "sample";
    case OpCode::kAdvance:
      return "advance";
  }
  return "?";
}

namespace {

// Collects the first thing wrong with an op; later checks are skipped once there is one.
class Checker {
 public:
  Checker(const Op& op, const Program& program) : op_(op), program_(program) {}

  const std::string& problem() const { return problem_; }
  bool good() const { return problem_.empty(); }
  const Tensor& at(uint32_t index) const { return program_.tensors()[op_.operands[index]]; }
  uint32_t dim(uint32_t index, uint32_t d) const { return at(index).dims[d]; }

  void require(bool condition, const std::string& otherwise) {
    if (!condition && good()) problem_ = otherwise;
  }
  void arity(uint32_t operands, uint32_t attributes) {
    require(op_.operandCount == operands && op_.attributeCount == attributes, "wrong count of operands or attributes");
  }
  void shape(uint32_t index, std::initializer_list<uint32_t> dims) {
    if (!good()) return;
    const Tensor& t = at(index);
    bool same = t.rank == dims.size();
    uint32_t d = 0;
    for (const uint32_t expected : dims) same = same && t.dims[d++] == expected;
    if (!same) problem_ = "operand " + std::to_string(index) + " has the wrong shape";
  }
  void rank(uint32_t index, uint32_t expected) {
    if (good()) require(at(index).rank == expected, "operand " + std::to_string(index) + " has the wrong rank");
  }
  void dtype(uint32_t index, std::initializer_list<DType> allowed) {
    if (!good()) return;
    for (const DType candidate : allowed) {
      if (at(index).dtype == candidate) return;
    }
    problem_ = "operand " + std::to_string(index) + " has the wrong dtype";
  }
  void f32(std::initializer_list<uint32_t> indexes) {
    for (const uint32_t index : indexes) dtype(index, {DType::kF32});
  }
  void weight(uint32_t index) { dtype(index, {DType::kF32, DType::kF16, DType::kBF16}); }

  // An index operand that the op uses as an address: contents in [−1, bound) are promised by its buffer.
  void index(uint32_t index, uint64_t bound) {
    dtype(index, {DType::kI32});
    if (!good()) return;
    const Tensor& t = at(index);
    const std::string name = "operand " + std::to_string(index);
    require(!program_.inArena(t), name + " must be a declared index buffer");
    if (!good()) return;
    const uint32_t declared = program_.bufferOf(t).indexBound();
    require(declared > 0, name + " has no declared bound");
    require(declared <= bound, name + " has a bound beyond what it indexes");
  }
  // An index buffer's promise holds for every word of it, so that only an op that keeps it may write there.
  void written(uint32_t index, bool keepsBound = false) {
    if (!good()) return;
    const Tensor& t = at(index);
    const std::string name = "operand " + std::to_string(index);
    require(program_.inArena(t) || program_.bufferOf(t).writable(), name + " is read-only");
    require(keepsBound || program_.inArena(t) || program_.bufferOf(t).indexBound() == 0,
            name + " would break the promise of an index buffer");
  }
  // `output` shares no byte with `input`, unless `inPlace` allows that they are the same bytes.
  void disjoint(uint32_t output, uint32_t input, bool inPlace = false) {
    if (!good()) return;
    const Tensor& a = at(output);
    const Tensor& b = at(input);
    if (program_.inArena(a) != program_.inArena(b)) return;
    // One buffer may be listed twice. Views of a file may share bytes, but nothing writes there.
    if (!program_.inArena(a) && &program_.bufferOf(a) != &program_.bufferOf(b)) return;
    if (a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset) return;
    if (inPlace && a.offset == b.offset && a.bytes == b.bytes) return;
    problem_ = "operands " + std::to_string(output) + " and " + std::to_string(input) + " overlap";
  }

 private:
  const Op& op_;
  const Program& program_;
  std::string problem_;
};

void checkGatherRows(Checker& c) {
  using namespace gather_rows;
  c.arity(kOperands, kAttributes);
  c.weight(kTable);
  c.dtype(kIds, {DType::kI32});  // any content is safe: ids outside the table give zeros
  c.f32({kOut});
  c.rank(kTable, 2);
  c.rank(kIds, 1);
  c.shape(kOut, {c.dim(kIds, 0), c.dim(kTable, 1)});
  c.written(kOut);
  c.disjoint(kOut, kTable);
  c.disjoint(kOut, kIds);
}

void checkRmsNorm(Checker& c) {
  using namespace rms_norm;
  c.arity(kOperands, kAttributes);
  c.f32({kX, kOut});
  c.weight(kWeight);
  c.rank(kX, 2);
  c.shape(kWeight, {c.dim(kX, 1)});
  c.shape(kOut, {c.dim(kX, 0), c.dim(kX, 1)});
  c.require(c.good() && c.dim(kX, 1) > 0, "rows are empty");
  c.written(kOut);
  c.disjoint(kOut, kX, true);
  c.disjoint(kOut, kWeight);
}

void checkMatmul(Checker& c) {
  using namespace matmul;
  c.arity(kOperands, kAttributes);
  c.f32({kA, kOut});
  c.weight(kB);
  c.rank(kA, 2);
  c.shape(kB, {c.dim(kB, 0), c.dim(kA, 1)});
  c.shape(kOut, {c.dim(kA, 0), c.dim(kB, 0)});
  c.require(c.good() && c.dim(kA, 1) > 0, "rows are empty");
  c.written(kOut);
  c.disjoint(kOut, kA);
  c.disjoint(kOut, kB);
}

void checkElementwise(Checker& c) {  // add and swiglu: two inputs, one output, all alike
  static_assert(static_cast<int>(add::kOut) == static_cast<int>(swiglu::kOut));
  c.arity(add::kOperands, add::kAttributes);
  c.f32({add::kA, add::kB, add::kOut});
  c.rank(add::kA, 2);
  c.shape(add::kB, {c.dim(add::kA, 0), c.dim(add::kA, 1)});
  c.shape(add::kOut, {c.dim(add::kA, 0), c.dim(add::kA, 1)});
  c.written(add::kOut);
  c.disjoint(add::kOut, add::kA, true);
  c.disjoint(add::kOut, add::kB, true);
}

void checkRopeAngles(Checker& c) {
  using namespace rope_angles;
  c.arity(kOperands, kAttributes);
  c.dtype(kPositions, {DType::kI32});  // any content is safe
  c.f32({kInverseFrequencies, kOut});
  c.rank(kPositions, 1);
  c.rank(kInverseFrequencies, 1);
  c.shape(kOut, {c.dim(kPositions, 0), c.dim(kInverseFrequencies, 0), 2});
  c.written(kOut);
  c.disjoint(kOut, kPositions);
  c.disjoint(kOut, kInverseFrequencies);
}

void checkRope(Checker& c, const Op& op) {
  using namespace rope;
  c.arity(kOperands, kAttributes);
  c.f32({kX, kAngles, kOut});
  c.rank(kX, 2);
  c.rank(kAngles, 3);
  c.shape(kAngles, {c.dim(kX, 0), c.dim(kAngles, 1), 2});
  c.shape(kOut, {c.dim(kX, 0), c.dim(kX, 1)});
  c.require(c.good() && c.dim(kAngles, 1) > 0 && c.dim(kX, 1) % (2 * c.dim(kAngles, 1)) == 0,
            "features are no multiple of the head size");
  c.require(c.good() && op.attributes[kInverse] <= 1, "inverse is 0 or 1");
  c.written(kOut);
  c.disjoint(kOut, kX, true);
  c.disjoint(kOut, kAngles);
}

// The operands that appendKv and attention have in common. Returns [K, d] through the references.
struct CacheOperands {
  uint32_t keys, values, keyScales, valueScales, slots, positions, pageTable;
};

void checkCache(Checker& c, const CacheOperands& at, uint32_t rows, bool scaled) {
  c.rank(at.keys, 4);
  if (!c.good()) return;
  const uint32_t pages = c.dim(at.keys, 0), heads = c.dim(at.keys, 1), size = c.dim(at.keys, 2);
  if (scaled) {
    c.dtype(at.keys, {DType::kI8});
    c.dtype(at.values, {DType::kI8});
    c.f32({at.keyScales, at.valueScales});
    c.shape(at.keyScales, {pages, heads, kPageKeys});
    c.shape(at.valueScales, {pages, heads, kPageKeys});
  } else {
    c.dtype(at.keys, {DType::kF32, DType::kF16});
    c.dtype(at.values, {c.at(at.keys).dtype});
  }
  c.shape(at.keys, {pages, heads, size, kPageKeys});
  c.shape(at.values, {pages, heads, kPageKeys, size});
  c.require(heads > 0 && size > 0, "the cache is empty");
  c.rank(at.pageTable, 2);
  if (!c.good()) return;
  c.index(at.pageTable, pages);
  c.index(at.slots, c.dim(at.pageTable, 0));
  c.index(at.positions, uint64_t{c.dim(at.pageTable, 1)} * kPageKeys);
  c.shape(at.slots, {rows});
  c.shape(at.positions, {rows});
}

void checkAppendKv(Checker& c, const Op& op) {
  using namespace append_kv;
  const bool scaled = op.operandCount == kOperandsI8;
  c.arity(scaled ? kOperandsI8 : kOperands, kAttributes);
  c.f32({kK, kV});
  c.rank(kK, 2);
  if (!c.good()) return;
  checkCache(c, {kKeys, kValues, kKeyScales, kValueScales, kSlots, kPositions, kPageTable}, c.dim(kK, 0), scaled);
  if (!c.good()) return;
  const uint32_t width = c.dim(kKeys, 1) * c.dim(kKeys, 2);
  c.shape(kK, {c.dim(kK, 0), width});
  c.shape(kV, {c.dim(kK, 0), width});
  for (const uint32_t state : {kKeys, kValues}) {
    c.written(state);
    for (const uint32_t input : {kK, kV, kSlots, kPositions, kPageTable}) c.disjoint(state, input);
  }
  c.disjoint(kKeys, kValues);
  if (!scaled) return;
  for (const uint32_t state : {kKeyScales, kValueScales}) {
    c.written(state);
    for (const uint32_t other : {kK, kV, kSlots, kPositions, kPageTable, kKeys, kValues}) c.disjoint(state, other);
  }
  c.disjoint(kKeyScales, kValueScales);
}

void checkAttention(Checker& c, const Op& op) {
  using namespace attention;
  const bool scaled = op.operandCount == kOperandsI8;
  c.arity(scaled ? kOperandsI8 : kOperands, kAttributes);
  c.f32({kQ, kOut});
  c.rank(kQ, 2);
  if (!c.good()) return;
  checkCache(c, {kKeys, kValues, kKeyScales, kValueScales, kSlots, kPositions, kPageTable}, c.dim(kQ, 0), scaled);
  if (!c.good()) return;
  const uint64_t width = uint64_t{c.dim(kKeys, 1)} * c.dim(kKeys, 2);
  c.require(c.dim(kQ, 1) > 0 && c.dim(kQ, 1) % width == 0, "query heads are no multiple of key/value heads");
  c.shape(kOut, {c.dim(kQ, 0), c.dim(kQ, 1)});
  c.written(kOut);
  for (uint32_t input = 0; input < op.operandCount; ++input) {
    if (input != kOut) c.disjoint(kOut, input);
  }
}

void checkSample(Checker& c) {
  using namespace sample;
  c.arity(kOperands, kAttributes);
  c.f32({kLogits, kFloats, kBiases, kLogprobs, kBestLogprobs});
  c.rank(kLogits, 2);
  c.rank(kSlots, 1);
  c.rank(kHistory, 2);
  c.rank(kBiasIds, 2);
  c.rank(kBestIds, 2);
  if (!c.good()) return;
  const uint32_t rows = c.dim(kLogits, 0), vocabulary = c.dim(kLogits, 1), stepRows = c.dim(kSlots, 0);
  const uint32_t slots = c.dim(kHistory, 0), best = c.dim(kBestIds, 1);
  c.require(vocabulary > 0 && best > 0 && best <= vocabulary, "k best is outside 1 … V");
  c.index(kOutputRows, stepRows);
  c.index(kSlots, slots);
  c.index(kPositions, c.dim(kHistory, 1));
  c.index(kHistory, vocabulary);
  c.index(kBiasIds, vocabulary);
  c.shape(kOutputRows, {rows});
  c.shape(kPositions, {stepRows});
  c.shape(kFloats, {slots, kFloatSettings});
  c.dtype(kInts, {DType::kI32});  // contents are numbers, not addresses
  c.shape(kInts, {slots, kIntSettings});
  c.shape(kBiasIds, {slots, c.dim(kBiasIds, 1)});
  c.shape(kBiases, {slots, c.dim(kBiasIds, 1)});
  c.dtype(kIds, {DType::kI32});
  c.dtype(kBestIds, {DType::kI32});
  c.shape(kIds, {rows});
  c.shape(kLogprobs, {rows});
  c.shape(kBestIds, {rows, best});
  c.shape(kBestLogprobs, {rows, best});
  for (uint32_t output = kIds; output < kOperands; ++output) {
    c.written(output);
    for (uint32_t other = 0; other < output; ++other) c.disjoint(output, other);
  }
}

void checkAdvance(Checker& c) {
  using namespace advance;
  c.arity(kOperands, kAttributes);
  c.dtype(kSampled, {DType::kI32});  // checked against the bound of kIds when it runs
  c.rank(kSampled, 1);
  c.rank(kIds, 1);
  c.rank(kStops, 2);
  c.rank(kHistory, 2);
  if (!c.good()) return;
  const uint32_t rows = c.dim(kIds, 0), slots = c.dim(kHistory, 0);
  c.dtype(kStops, {DType::kI32});
  c.index(kIds, UINT32_MAX);
  c.index(kHistory, UINT32_MAX);
  if (!c.good()) return;
  c.index(kOutputRows, rows);
  c.index(kSlots, slots);
  c.index(kPositions, c.dim(kHistory, 1));
  c.shape(kOutputRows, {c.dim(kSampled, 0)});
  c.shape(kSlots, {rows});
  c.shape(kPositions, {rows});
  c.shape(kStops, {slots, c.dim(kStops, 1)});
  for (const uint32_t state : {kIds, kSlots, kPositions, kHistory}) {
    c.written(state, true);
    for (const uint32_t input : {kSampled, kOutputRows, kStops}) c.disjoint(state, input);
    for (uint32_t other = kIds; other < state; ++other) c.disjoint(state, other);
  }
}

}  // namespace

Status validate(const Op& op, const Program& program) {
  Checker c(op, program);
  // A check may look at operand dims before it knows the count: missing operands read as tensor 0, which must exist.
  c.require(!program.tensors().empty(), "no tensors");
  if (c.good()) {
    switch (op.code) {
      case OpCode::kGatherRows:
        checkGatherRows(c);
        break;
      case OpCode::kRmsNorm:
        checkRmsNorm(c);
        break;
      case OpCode::kMatmul:
        checkMatmul(c);
        break;
      case OpCode::kAdd:
      case OpCode::kSwiglu:
        checkElementwise(c);
        break;
      case OpCode::kRopeAngles:
        checkRopeAngles(c);
        break;
      case OpCode::kRope:
        checkRope(c, op);
        break;
      case OpCode::kAppendKv:
        checkAppendKv(c, op);
        break;
      case OpCode::kAttention:
        checkAttention(c, op);
        break;
      case OpCode::kSample:
        checkSample(c);
        break;
      case OpCode::kAdvance:
        checkAdvance(c);
        break;
    }
  }
  if (c.good()) return {};
  return Status::error(ErrorCode::kInternal, c.problem());
}

}  // namespace quipu

#include "core/op_table.h"

#include <string>

#include "core/program.h"

namespace quipu {

namespace {

using Wide = unsigned __int128;  // holds the product of a factor and three letters, 32 bits each

// Checks an op against its row; `problem` is the first thing wrong.
class Checker {
 public:
  Checker(const Op& op, const Program& program)
      : row_(kOpRows[static_cast<uint32_t>(op.code)]), op_(op), program_(program) {}

  bool check() {
    return counts() && dtypes() && letters() && ranges() && leading() && indexes() && written() && apart();
  }
  std::string problem;

 private:
  const Tensor& at(uint32_t operand) const { return program_.tensors()[op_.operands[operand]]; }
  const char* name(uint32_t operand) const { return row_.operands[operand].name; }
  bool wrong(const std::string& what) {
    problem = what;
    return false;
  }
  bool wrong(uint32_t operand, const std::string& what) {
    return wrong(std::string("operand ") + name(operand) + " " + what);
  }

  Wide product(const Dim& dim, Letter without = 0) const {
    Wide result = dim.factor;
    for (const Letter letter : dim.letters) {
      if (letter != 0 && letter != without) result *= numbers_[letter];
    }
    return result;
  }

  bool counts() {
    uint32_t expected = row_.required;
    if (op_.operandCount >= expected && expected < row_.operands.size() && at(row_.when).dtype == row_.whenDType) {
      expected = static_cast<uint32_t>(row_.operands.size());
    }
    if (op_.operandCount != expected) {
      return wrong("wrong count of operands: " + std::to_string(op_.operandCount) + ", not " +
                   std::to_string(expected));
    }
    return op_.attributeCount == row_.attributes || wrong("wrong count of attributes");
  }

  bool dtypes() {
    for (uint32_t i = 0; i < op_.operandCount; ++i) {
      const OperandRow& row = row_.operands[i];
      const auto dtype = static_cast<uint32_t>(at(i).dtype);
      if ((row.dtypes >> dtype & 1) == 0 || (row.like >= 0 && at(row.like).dtype != at(i).dtype)) {
        return wrong(i, std::string("has the wrong dtype ") + nameOf(at(i).dtype));
      }
    }
    return true;
  }

  bool letters() {
    for (uint32_t i = 0; i < op_.operandCount; ++i) {
      if (at(i).rank != row_.operands[i].rank) return wrong(i, "has the wrong rank " + std::to_string(at(i).rank));
    }
    for (const bool products : {false, true}) {
      for (uint32_t i = 0; i < op_.operandCount; ++i) {
        for (uint32_t d = 0; d < at(i).rank; ++d) {
          const Dim& dim = row_.operands[i].dims[d];
          const bool isProduct = dim.factor != 1 || dim.letters[1] != 0;
          if (dim.binds == 0 || isProduct != products) continue;
          const Wide rest = product(dim, dim.binds);
          if (rest == 0) return wrongShape(i, d);
          numbers_[dim.binds] = static_cast<uint32_t>(at(i).dims[d] / rest);  // a remainder is found below
        }
      }
    }
    for (uint32_t i = 0; i < op_.operandCount; ++i) {
      for (uint32_t d = 0; d < at(i).rank; ++d) {
        if (product(row_.operands[i].dims[d]) != at(i).dims[d]) return wrongShape(i, d);
      }
    }
    return true;
  }
  bool wrongShape(uint32_t operand, uint32_t d) {
    return wrong(operand,
                 "has the wrong shape: " + std::to_string(at(operand).dims[d]) + " in dim " + std::to_string(d));
  }

  bool ranges() {
    for (uint32_t i = 0; i < row_.letters.size(); ++i) {
      const LetterRow& letter = row_.letters[i];
      const uint32_t number = numbers_[i + 1];
      if (number < letter.least || (letter.most != 0 && number > numbers_[letter.most])) {
        return wrong(std::string(letter.name) + " is out of range: " + std::to_string(number));
      }
    }
    return true;
  }

  // A letter is the same rows wherever it is, so that shapes agree in every run; what is no letter of rows is none.
  // Bounds of indexes hold for the capacity: what they may name of a run with fewer rows is memory of its operands too.
  bool leading() {
    Leading marks[kMaxLetters + 1];
    uint32_t known = 0;  // letters, a bit each
    for (uint32_t i = 0; i < op_.operandCount; ++i) {
      const Dim& first = row_.operands[i].dims[0];
      const bool alone = first.factor == 1 && first.letters[0] != 0 && first.letters[1] == 0;
      const Letter letter = first.letters[0];
      const Leading mark = at(i).leading;
      if (!alone || !row_.letters[letter - 1].rows) {
        if (mark != Leading::kFixed) return wrong(i, "has rows where its first dim is none");
      } else if ((known >> letter & 1) == 0) {
        known |= 1u << letter;
        marks[letter] = mark;
      } else if (marks[letter] != mark) {
        return wrong(i, std::string("has other rows than ") + row_.letters[letter - 1].name);
      }
    }
    return true;
  }

  bool indexes() {
    for (uint32_t i = 0; i < op_.operandCount; ++i) {
      const OperandRow& row = row_.operands[i];
      if (!row.index) continue;
      if (program_.inArena(at(i))) return wrong(i, "must be a declared index buffer");
      const uint32_t declared = program_.bufferOf(at(i)).indexBound();
      if (declared == 0) return wrong(i, "has no declared bound");
      if (row.bound.factor != 0 && declared > product(row.bound)) {
        return wrong(i, "has a bound beyond what it indexes: " + std::to_string(declared));
      }
    }
    return true;
  }

  // An index buffer's promise holds for every word of it: only an op whose row updates an index may write there.
  bool written() {
    for (uint32_t i = 0; i < op_.operandCount; ++i) {
      const OperandRow& row = row_.operands[i];
      if (row.role == Role::kRead || program_.inArena(at(i))) continue;
      const auto& buffer = program_.bufferOf(at(i));
      if (!buffer.writable()) return wrong(i, "is read-only");
      if (!row.index && buffer.indexBound() != 0) return wrong(i, "would break the promise of an index buffer");
    }
    return true;
  }

  // What is written shares no byte with any other operand, unless it may be that one's very bytes.
  bool apart() {
    for (uint32_t i = 0; i < op_.operandCount; ++i) {
      if (row_.operands[i].role == Role::kRead) continue;
      for (uint32_t other = 0; other < op_.operandCount; ++other) {
        if (other == i || !overlap(at(i), at(other))) continue;
        const bool inPlace = row_.operands[i].inPlace >> other & 1;  // of one shape and dtype
        if (inPlace && at(i).offset == at(other).offset) continue;
        return wrong(i, std::string("overlaps ") + name(other));
      }
    }
    return true;
  }
  // Writable memory is one buffer's alone, so that buffers and offsets tell.
  bool overlap(const Tensor& a, const Tensor& b) const {
    if (a.bytes == 0 || b.bytes == 0 || program_.inArena(a) != program_.inArena(b)) return false;
    if (!program_.inArena(a) && &program_.bufferOf(a) != &program_.bufferOf(b)) return false;
    return a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  }

  const OpRow& row_;
  const Op& op_;
  const Program& program_;
  uint32_t numbers_[kMaxLetters + 1] = {};  // by letter
};

}  // namespace

Status validate(const Op& op, const Program& program) {
  Checker checker(op, program);
  if (checker.check()) return {};
  return Status::error(ErrorCode::kInternal, checker.problem);
}

}  // namespace quipu

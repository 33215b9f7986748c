// Byte-pair encoding of one piece, exact and in linear time (docs/decisions/0005-tokenizer-engine.md).
//
// The encoding of a string merges its pair of lowest priority, of equals the leftmost, until none merges. A sequence of
// tokens is the encoding of its bytes exactly if each adjacent pair (a, b) is the encoding of the bytes of a and b:
// merges inside different tokens do not see each other, so a first wrong merge would be one across a boundary, and
// needs only the two tokens there. So the longest token that may follow the last one is taken; where none fits, the
// last is taken back and its place never tried again. (The idea, and that of crosses(), are those of github/rust-gems,
// crate bpe, which needs ids in the order of merges; here any order will do.)
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/tables.h"

namespace quipu::tokenizer {

// One for each thread: it remembers what it found out about tokens and pairs.
class Bpe {
 public:
  explicit Bpe(const Tables& tables);

  // The ids of p[0, bytes), bytes > 0, every one of which is a token: at most `bytes` ids at `out`; returns their
  // count. `whole`: if all of it is a token, it becomes that even if merging would not lead there.
  size_t encode(const uint8_t* p, size_t bytes, bool whole, uint32_t* out);

 private:
  // How a token's own bytes merge: the last merge that makes it.
  struct History {
    enum Kind : uint8_t {
      kUnknown,
      kOther,    // the bytes do not become the token
      kOrdered,  // each merge on the way has a higher priority number than those that it needs
      kMixed,
    };
    uint32_t left, right;
    uint32_t time : 30;  // priority of the last merge + 1; 0 for a byte
    uint32_t kind : 2;
  };
  // Symbols of a string that is being merged: where each begins, and with what priority it merges with the next.
  struct Symbols {
    std::vector<uint32_t> starts, ids, priorities, merged;
  };

  // Whether a token is the encoding of its own bytes.
  bool encodesItself(uint32_t token) { return historyOf(token).kind != History::kOther; }
  // Whether a and b, the tokens before and after `boundary`, are the encoding of their bytes.
  bool fits(uint32_t a, uint32_t b, const uint8_t* boundary);
  bool crosses(uint32_t a, uint32_t b, const uint8_t* boundary);
  bool crossesAnyOrder(uint32_t a, uint32_t b, const uint8_t* boundary);
  const History& historyOf(uint32_t token);
  // What `left` and the token of the rest become.
  MergeResult mergeOf(uint32_t left, const uint8_t* start, size_t bytes) const;
  template <typename Merged>
  size_t mergeAll(const uint8_t* p, size_t bytes, Merged merged);
  size_t lengthOf(uint32_t token) const { return tables_.offsets()[token + 1] - tables_.offsets()[token]; }

  const Tables& tables_;
  std::vector<uint64_t> known_;  // (a, b, fits), direct-mapped
  std::vector<History> history_;
  std::vector<uint64_t> dead_;  // a bit for each position of a piece from which no encoding goes on
  Symbols symbols_;
};

}  // namespace quipu::tokenizer

// Byte-pair encoding of one piece, exact and in linear time (docs/decisions/0005-tokenizer-engine.md).
//
// The encoding of a string merges its pair of lowest priority, of equals the leftmost, until none merges. A sequence of
// tokens is the encoding of its bytes exactly if each adjacent pair (a, b) is the encoding of the bytes of a and b:
// merges inside different tokens do not see each other, so a first wrong merge would be one across a boundary, and
// needs only the two tokens there. So the longest token that may follow the last one is taken; where none fits, the
// last is taken back and its place never tried again. (The idea is that of github/rust-gems, crate bpe; the check there
// needs ids in merge order, this one does not.)
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/tables.h"

namespace quipu::tokenizer {

// One for each thread: it remembers which pairs are encodings.
class Bpe {
 public:
  explicit Bpe(const Tables& tables);

  // The ids of p[0, bytes), bytes > 0, every one of which is a token: at most `bytes` ids at `out`; returns their
  // count.
  size_t encode(const uint8_t* p, size_t bytes, uint32_t* out);

  // Whether a token is the encoding of its own bytes.
  bool encodesItself(uint32_t token) { return fits(kNoToken, token); }

 private:
  // Whether a and b, or b alone where a is kNoToken, are the encoding of their bytes.
  bool fits(uint32_t a, uint32_t b);
  bool computeFits(uint32_t a, uint32_t b);
  MergeResult mergeAt(size_t i) const;
  size_t lengthOf(uint32_t token) const { return tables_.offsets()[token + 1] - tables_.offsets()[token]; }

  const Tables& tables_;
  std::vector<uint64_t> known_;  // (a, b, fits), direct-mapped
  std::vector<uint64_t> dead_;   // a bit for each position of a piece from which no encoding goes on
  // The symbols of the pair being computed: where each begins in bytes_, and with what priority it merges with the
  // next.
  std::vector<uint8_t> bytes_;
  std::vector<uint32_t> starts_, ids_, priorities_, merged_;
};

}  // namespace quipu::tokenizer

// The tokens that begin at each place of a short piece, found when they are asked for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tokenizer/tables.h"

namespace quipu::tokenizer {

class TokenMatches {
 public:
  static constexpr size_t kMostBytes = 60;

  explicit TokenMatches(const Tables& tables) : tables_(tables) {}

  // A piece of at most kMostBytes bytes; kPadding more may be read.
  void begin(const uint8_t* piece, size_t bytes) {
    piece_ = piece;
    bytes_ = bytes;
    known_ = 0;
  }

  // A bit for each place at which a token that begins at `start` ends.
  uint64_t endsFrom(size_t start) {
    if ((known_ >> start & 1) == 0) walk(start);
    return ends_[start];
  }
  // One of those tokens.
  uint32_t token(size_t start, size_t end) const { return tokens_[start][end - start - 1]; }
  // The token there, or kNoToken.
  uint32_t tokenAt(size_t start, size_t end) { return endsFrom(start) >> end & 1 ? token(start, end) : kNoToken; }

 private:
  void walk(size_t start);

  const Tables& tables_;
  const uint8_t* piece_ = nullptr;
  size_t bytes_ = 0;
  uint64_t known_ = 0;  // a bit for each start
  uint64_t ends_[kMostBytes];
  uint32_t tokens_[kMostBytes][64];  // a power of two, for the sake of addresses
};

inline void TokenMatches::walk(size_t start) {
  const size_t most = bytes_ - start;
  const uint8_t* const p = piece_ + start;
  uint32_t* const tokens = tokens_[start];
  uint32_t children = Tables::kRootChildren;
  uint64_t ends = 0;
  size_t i = 0;
  do {
    const uint32_t byte = p[i];
    const TrieSlot node = tables_.childOf(children, byte);
    if (node.byteAndToken >> 24 != byte) break;
    const uint32_t token = node.byteAndToken & kNoToken;
    tokens[i] = token;
    ends |= static_cast<uint64_t>(token != kNoToken) << i;
    children = node.children;
  } while (++i < most);
  ends_[start] = ends << (start + 1);
  known_ |= uint64_t{1} << start;
}

}  // namespace quipu::tokenizer

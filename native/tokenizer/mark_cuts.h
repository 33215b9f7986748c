// Where text can be cut whose words begin with a mark (SentencePiece's "▁", U+2581): in front of a mark, where no token
// has what stands before it and the mark beside each other. Nothing merges across such a place, so the pieces by
// themselves are encoded as the whole is (docs/decisions/0030-sentencepiece.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "tokenizer/tables.h"

namespace quipu::tokenizer {

class MarkCuts {
 public:
  // `everywhere`: text is to be cut in front of every mark, whatever the tokens are. `spaces`: text has spaces that
  // become marks when it has been cut. `mark` is one character.
  struct Options {
    std::string mark;
    bool everywhere = false, spaces = false;
    bool never = false;  // text is one piece
  };
  MarkCuts(const Tables& tables, Options options);

  const std::string& mark() const { return options_.mark; }

  // The end of the piece that begins at `start` < end: the next place to cut, or `end`.
  const uint8_t* pieceEnd(const uint8_t* start, const uint8_t* end) const;
  // The last place to cut in (start, end), or `start`.
  const uint8_t* lastCut(const uint8_t* start, const uint8_t* end) const;

 private:
  // How many bytes the mark has that begins at p < end; 0 where none does.
  size_t markAt(const uint8_t* p, const uint8_t* end) const;
  bool cutsBehind(uint8_t byte) const {
    return cutsBehind_[byte == ' ' && options_.spaces ? static_cast<uint8_t>(options_.mark.back()) : byte];
  }

  Options options_;
  std::array<bool, 256> cutsBehind_;  // by the last byte of what stands before the mark
};

}  // namespace quipu::tokenizer

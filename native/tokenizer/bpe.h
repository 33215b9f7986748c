// Byte-pair encoding of one piece, exact and in linear time (docs/decisions/0005-tokenizer-engine.md).
//
// The encoding of a string merges its pair of lowest priority, of equals the leftmost, until none merges. A sequence of
// tokens is the encoding of its bytes exactly if each adjacent pair (a, b) is the encoding of the bytes of a and b:
// merges inside different tokens do not see each other, so a first wrong merge would be one across a boundary, and
// needs only the two tokens there. So the longest token that may follow the last one is taken; where none fits, the
// last is taken back and its place never tried again. (The idea, and that of crosses(), are those of github/rust-gems,
// crate bpe, which needs ids in the order of merges; here any order will do.) Short pieces, which are nearly all, keep
// the tokens that begin at each place: both questions, what may come next and whether a pair crosses, ask for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/tables.h"
#include "tokenizer/token_matches.h"
#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

// One for each thread: it remembers what it found out about tokens and pairs.
class Bpe {
 public:
  explicit Bpe(const Tables& tables);

  // The ids of p[0, bytes), bytes > 0, every unit of which (byte or character) is a token: at most `bytes` ids at
  // `out`; returns their count. `whole`: if all of it is a token, it becomes that even if merging would not lead there.
  size_t encode(const uint8_t* p, size_t bytes, bool whole, uint32_t* out);

  // encode() returns early, with some of the ids, when `stop` (null: never) becomes true.
  void stopBy(const std::atomic<bool>* stop) { stop_ = stop; }

 private:
  // How a token's own bytes merge: the last merge that makes it.
  struct History {
    enum Kind : uint8_t {
      kUnknown,
      kOther,    // the bytes do not become the token
      kOrdered,  // each merge on the way has a higher priority number than those that it needs
      kMixed,    // not so, or the left part is longer than fits here
    };
    uint32_t time : 24;  // priority of the last merge + 1; 0 for a byte
    uint32_t leftBytes : 6;
    uint32_t kind : 2;
  };
  // Symbols of a string that is being merged: where each begins, and with what priority it merges with the next.
  struct Symbols {
    std::vector<uint32_t> starts, tokens, priorities, merged;
  };
  // Where two tokens lie in a piece.
  struct Pair {
    const uint8_t* piece;
    size_t start, boundary, end;
  };

  size_t encodeShort(const uint8_t* p, size_t bytes, bool whole, uint32_t* out);
  size_t encodeLong(const uint8_t* p, size_t bytes, bool whole, uint32_t* out);
  // Where the encoding of a long piece stands: its tokens so far, up to `at`, and how far bytes have been tokens on any
  // way that was tried.
  struct Progress {
    std::span<const uint8_t> piece;
    uint32_t* tokens;
    size_t count = 0, at = 0, farthest = 0;
    // The first byte that differs from the one `period` before it, by how many tokens ago that is.
    struct Difference {
      size_t period = 0, place = 0;
    };
    static constexpr size_t kMostCycle = 4;
    Difference differences[kMostCycle + 1] = {};
  };
  void repeatCycle(Progress& progress) const;
  // Whether a token is the encoding of its own bytes.
  bool encodesItself(uint32_t token) { return historyOf(token).kind != History::kOther; }
  // Whether a, which encodes itself, and b are the encoding of their bytes. `tokenAt(start, end)` is the token with
  // those bytes of the piece, or kNoToken.
  template <typename TokenAt>
  bool fits(uint32_t a, uint32_t b, const Pair& pair, TokenAt tokenAt);
  template <typename TokenAt>
  bool crosses(uint32_t a, uint32_t b, Pair pair, TokenAt tokenAt) const;
  bool crossesAnyOrder(const Pair& pair);
  History historyOf(uint32_t token) {
    if (history_[token].kind == History::kUnknown) learn(token);
    return history_[token];
  }
  void learn(uint32_t token);
  // How long the unit is that begins at p: of bytes or of characters.
  size_t unitBytes(const uint8_t* p) const { return tables_.ofCharacters() ? characterBytes(*p) : 1; }
  template <typename Each>
  size_t mergeAll(const uint8_t* p, size_t bytes, Each each);

  const Tables& tables_;
  size_t longest_ = 1;  // bytes of a token
  TokenMatches matches_;
  static constexpr uint32_t kKnownBits = 15, kMostTagBits = 30;
  uint32_t tokenBits_, knownBits_;
  std::vector<uint32_t> known_;  // what fits() found out: direct-mapped, tags and answers
  std::vector<History> history_;
  std::vector<Tables::Match> untried_;  // tokens that begin at a place of a long piece, the longest last
  std::vector<uint64_t> dead_;          // a bit for each position of a piece from which no encoding goes on
  Symbols symbols_;
  const std::atomic<bool>* stop_ = nullptr;
};

}  // namespace quipu::tokenizer

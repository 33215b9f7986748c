// Byte-pair encoding learned from counted pieces (arXiv:1508.07909): the pair of neighbouring tokens that is most
// frequent becomes a token, again and again. Of pairs equally frequent the one of smaller ids is taken, left id first,
// which is what Hugging Face's BpeTrainer does; like there, "aaa" has the pair (a, a) twice.
//
// The first 256 ids are the bytes in the order of GPT-2's byte-level alphabet; merge r makes id 256 + r. Counts are
// kept up to date at the places where a merge changes them, so training takes time linear in the bytes of the
// distinct pieces.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "tokenizer/piece_table.h"

namespace quipu::tokenizer {

// The id of each byte: printable ones first, in their order, then the others in theirs.
std::array<uint32_t, 256> byteIds();

struct MergeRule {
  uint32_t left, right;
  uint64_t count;  // of the pair when it was merged
};

struct MergeOptions {
  size_t merges = 0;          // at most
  uint64_t minFrequency = 1;  // pairs that are rarer are not merged
  // Bytes that no token may have: those of special tokens, which would otherwise have two ids.
  std::vector<std::string> forbidden;
  size_t memoryBytes = 0;  // 0: no bound
};

class MergeTrainer {
 public:
  // What training on `pieceBytes` bytes in `pieces` distinct pieces takes, pairs of an ordinary text included.
  static size_t memoryBytes(size_t pieceBytes, size_t pieces) { return pieceBytes * 28 + pieces * 8; }

  // Room for pieces of so many bytes in all. ERR_OUT_OF_MEMORY.
  Status reserve(size_t pieceBytes, size_t pieces);
  void add(const PieceCount& piece);
  // Merges until there are enough or no pair is left. `done` follows the number of merges.
  Status train(const MergeOptions& options, const std::atomic<bool>& cancelled, std::atomic<size_t>& done,
               std::vector<MergeRule>& merges);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  // A token in a piece, at the index of its first byte.
  struct Symbol {
    uint32_t previous, next;  // kNone at the piece's ends
    uint32_t pair;            // that it begins; kNone at the end of a piece and inside of tokens
    uint32_t piece;
  };
  struct Pair {
    uint32_t left, right;
    int64_t count = 0;
    // Its occurrences when it was created, ascending. Stale ones, taken by another merge, are told by Symbol::pair.
    uint32_t number = 0;
    uint32_t place = 0;                  // where there is one,
    std::unique_ptr<uint32_t[]> places;  // and where there are more
  };
  struct Candidate {
    int64_t count;
    uint32_t left, right, pair;
    bool operator<(const Candidate& other) const;
  };
  struct Place {
    uint32_t pair, at;
  };
  // The pairs that the current merge brings up, by their other token.
  struct Fresh {
    std::vector<uint32_t> pairOf;
    std::vector<uint32_t> tokens;
  };

  size_t heldBytes() const;
  void countPairs();
  void merge(uint32_t pair, uint32_t token, const std::atomic<bool>& cancelled);
  void place(Fresh& fresh, uint32_t other, uint32_t left, uint32_t right, uint32_t at, int64_t weight);
  void settlePlaces(size_t firstFresh);
  void reservePlaces(Pair& pair, uint32_t number);
  void addPlace(Pair& pair, uint32_t at);
  void offer(uint32_t pair);

  std::vector<Symbol> symbols_;
  std::vector<uint64_t> counts_;  // of the pieces
  std::vector<Pair> pairs_;
  std::vector<Candidate> heap_;
  int64_t minFrequency_ = 1;
  Fresh before_, after_;
  std::vector<Place> placed_;
  size_t placeBytes_ = 0;
};

}  // namespace quipu::tokenizer

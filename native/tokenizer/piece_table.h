// Distinct pieces of text and how often each occurs: a hash table with open addressing. Pieces of at most eight bytes,
// most of any text, lie in their slot; longer ones in blocks that live as long as the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace quipu::tokenizer {

struct PieceCount {
  const uint8_t* bytes;
  size_t length;
  uint64_t count;
};

class PieceTable {
 public:
  static constexpr size_t kBehind = 8;

  // `limit` bounds memoryBytes() (0: no bound), except for a first piece that exceeds it alone.
  explicit PieceTable(size_t limit = 0);

  // Adds `count` occurrences. kBehind bytes behind a piece must be readable (of one that each() gave, they are). False,
  // and nothing done: the table would outgrow its limit; the caller empties it.
  [[nodiscard]] bool add(const uint8_t* bytes, size_t length, uint64_t count);

  size_t size() const { return size_; }
  size_t memoryBytes() const { return slots_.size() * sizeof(Slot) + blockBytes_; }
  // Sum of the lengths of the distinct pieces.
  size_t pieceBytes() const { return pieceBytes_; }
  void clear();

  template <typename Visit>
  void each(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.count != 0) visit(PieceCount{bytesOf(slot), slot.length, slot.count});
    }
  }
  // In the order of their bytes. Pointers into the table: valid until it changes.
  std::vector<PieceCount> sorted() const;

 private:
  struct Slot {
    uint64_t count = 0;  // 0: free
    uint32_t hash, length;
    union {
      uint64_t word;  // the bytes themselves, zeros behind them
      const uint8_t* block;
    };
  };
  static constexpr size_t kInline = 8;
  static const uint8_t* bytesOf(const Slot& slot) {
    return slot.length <= kInline ? reinterpret_cast<const uint8_t*>(&slot.word) : slot.block;
  }

  void reset();
  void grow();
  uint8_t* allocate(size_t bytes);

  size_t limit_, size_ = 0, pieceBytes_ = 0;
  std::vector<Slot> slots_;  // a power of two
  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  size_t blockBytes_ = 0, blockFree_ = 0;
  uint8_t* blockAt_ = nullptr;
};

}  // namespace quipu::tokenizer

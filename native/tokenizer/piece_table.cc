#include "tokenizer/piece_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tokenizer/hash.h"

namespace quipu::tokenizer {

namespace {

static_assert(std::endian::native == std::endian::little, "a short piece is a little-endian word");

constexpr size_t kFirstSlots = 1024;
constexpr size_t kBlock = 1 << 16;

uint64_t load(const uint8_t* bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace

PieceTable::PieceTable(size_t limit) : limit_(limit) { reset(); }

void PieceTable::reset() {
  slots_ = std::vector<Slot>(kFirstSlots);
  blocks_.clear();
  size_ = pieceBytes_ = blockBytes_ = blockFree_ = 0;
  blockAt_ = nullptr;
}

void PieceTable::clear() { reset(); }

bool PieceTable::add(const uint8_t* bytes, size_t length, uint64_t count) {
  const bool isShort = length <= kInline;
  const uint64_t word = !isShort ? 0 : length == 8 ? load(bytes) : load(bytes) & ((uint64_t{1} << (8 * length)) - 1);
  const uint32_t hash = static_cast<uint32_t>(isShort ? mixed(word, length) : hashOf(bytes, length));
  const size_t mask = slots_.size() - 1;
  size_t at = hash & mask;
  for (;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.count == 0) break;
    if (slot.hash != hash || slot.length != length) continue;
    if (isShort ? slot.word == word : memcmp(slot.block, bytes, length) == 0) {
      slot.count += count;
      return true;
    }
  }
  // A new piece. Three quarters full is the point to grow.
  const bool crowded = (size_ + 1) * 4 > slots_.size() * 3;
  if (limit_ != 0 && size_ != 0) {
    // While it grows, the old slots and the new ones, twice as many, are there together.
    const size_t slotBytes = slots_.size() * sizeof(Slot) * (crowded ? 3 : 1);
    const size_t more = isShort || length <= blockFree_ ? 0 : std::max(length, kBlock);
    if (slotBytes + blockBytes_ + more > limit_) return false;
  }
  if (crowded) {
    grow();
    const size_t wider = slots_.size() - 1;
    for (at = hash & wider; slots_[at].count != 0; at = (at + 1) & wider) {
    }
  }
  Slot& slot = slots_[at];
  slot.hash = hash;
  slot.length = static_cast<uint32_t>(length);
  if (isShort) {
    slot.word = word;
  } else {
    uint8_t* copy = allocate(length);
    memcpy(copy, bytes, length);
    slot.block = copy;
  }
  slot.count = count;
  size_ += 1;
  pieceBytes_ += length;
  return true;
}

void PieceTable::grow() {
  std::vector<Slot> wider(slots_.size() * 2);
  const size_t mask = wider.size() - 1;
  for (const Slot& slot : slots_) {
    if (slot.count == 0) continue;
    size_t at = slot.hash & mask;
    while (wider[at].count != 0) at = (at + 1) & mask;
    wider[at] = slot;
  }
  slots_ = std::move(wider);
}

uint8_t* PieceTable::allocate(size_t bytes) {
  if (bytes > blockFree_) {
    const size_t size = std::max(bytes, kBlock);
    blocks_.push_back(std::make_unique<uint8_t[]>(size + kBehind));
    blockBytes_ += size + kBehind;
    blockAt_ = blocks_.back().get();
    blockFree_ = size;
  }
  uint8_t* taken = blockAt_;
  blockAt_ += bytes;
  blockFree_ -= bytes;
  return taken;
}

std::vector<PieceCount> PieceTable::sorted() const {
  // Most comparisons are settled by the first eight bytes, read as one big-endian number.
  struct Entry {
    uint64_t head;
    PieceCount piece;
  };
  std::vector<Entry> entries;
  entries.reserve(size_);
  each([&](const PieceCount& piece) {
    uint64_t word = 0;
    memcpy(&word, piece.bytes, std::min<size_t>(piece.length, 8));
    entries.push_back({__builtin_bswap64(word), piece});
  });
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    if (a.head != b.head) return a.head < b.head;
    const int order = memcmp(a.piece.bytes, b.piece.bytes, std::min(a.piece.length, b.piece.length));
    return order != 0 ? order < 0 : a.piece.length < b.piece.length;
  });
  std::vector<PieceCount> pieces;
  pieces.reserve(entries.size());
  for (const Entry& entry : entries) pieces.push_back(entry.piece);
  return pieces;
}

}  // namespace quipu::tokenizer

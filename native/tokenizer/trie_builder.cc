#include "tokenizer/trie_builder.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace quipu::tokenizer {

namespace {

constexpr size_t kHead = 8;
constexpr size_t kMaxSlots = size_t{1} << 28;

uint8_t byteAt(const TrieEntry& entry, uint32_t depth) {
  return depth < kHead ? static_cast<uint8_t>(entry.head >> (56 - 8 * depth)) : entry.bytes[depth];
}

bool isBefore(const TrieEntry& a, const TrieEntry& b) {
  if (a.head != b.head) return a.head < b.head;
  const int order = memcmp(a.bytes, b.bytes, std::min(a.size, b.size));
  return order != 0 ? order < 0 : a.size < b.size;
}

// A bit for each of many places.
class Places {
 public:
  bool has(size_t at) const { return (from(at) & 1) != 0; }
  void take(size_t at) {
    if (at / 64 + 1 >= words_.size()) words_.resize(at / 32 + 64);
    words_[at / 64] |= uint64_t{1} << at % 64;
  }
  // The bits of 64 places from `at` on.
  uint64_t from(size_t at) const {
    if (at / 64 + 1 >= words_.size()) return 0;
    const uint64_t *word = &words_[at / 64], bit = at % 64;
    return bit == 0 ? *word : *word >> bit | word[1] << (64 - bit);
  }

 private:
  std::vector<uint64_t> words_;
};

// Finds each node a start of its own for its children, such that their slots are free.
class Layout {
 public:
  Layout() { starts_.take(Tables::kNoChildren); }

  uint32_t place(std::span<const uint8_t> bytes) {
    // Nodes of as many children went here last, and what is far back is left free, so that neighbours stay together.
    size_t& low = low_[std::bit_width(bytes.size())];
    if (low + kWindow < end_) low = end_ - kWindow;
    size_t start = low > bytes[0] ? low - bytes[0] : 1;
    uint64_t taken;
    while ((taken = takenFrom(start, bytes)) == ~uint64_t{0}) start += 64;
    start += static_cast<size_t>(std::countr_one(taken));
    low = start + bytes[0];
    take(start, bytes);
    return static_cast<uint32_t>(start);
  }
  void take(size_t start, std::span<const uint8_t> bytes) {
    starts_.take(start);
    for (const uint8_t byte : bytes) slots_.take(start + byte);
    end_ = std::max(end_, start + bytes.back());
  }
  bool isTaken(size_t slot) const { return slots_.has(slot); }
  bool isStart(size_t start) const { return starts_.has(start); }

 private:
  static constexpr size_t kWindow = 1024;

  // Which of 64 starts cannot be.
  uint64_t takenFrom(size_t start, std::span<const uint8_t> bytes) const {
    uint64_t taken = starts_.from(start);
    for (const uint8_t byte : bytes) taken |= slots_.from(start + byte);
    return taken;
  }

  Places slots_, starts_;
  size_t end_ = 0;
  size_t low_[10] = {};
};

}  // namespace

TrieEntry trieEntry(const uint8_t* bytes, uint32_t size, uint32_t index) {
  uint64_t word = 0;
  memcpy(&word, bytes, std::min<size_t>(size, kHead));
  return {__builtin_bswap64(word), bytes, size, index};
}

std::vector<TrieSlot> buildTrie(std::span<TrieEntry> entries) {
  std::sort(entries.begin(), entries.end(), isBefore);
  // Entries [first, last) begin with the same `depth` bytes, those of the node at `slot`.
  struct Range {
    uint32_t first, last, depth, slot;
  };
  std::vector<Range> open;
  std::vector<TrieSlot> trie;
  Layout layout;
  trie.reserve(entries.size() * 3);
  open.push_back({0, static_cast<uint32_t>(entries.size()), 0, 0});
  while (!open.empty()) {
    auto [first, last, depth, slot] = open.back();
    open.pop_back();
    if (depth > 0 && first < last && entries[first].size == depth) {
      trie[slot].byteAndToken = (trie[slot].byteAndToken & ~kNoToken) | first;
      ++first;
    }
    if (first == last) continue;
    uint8_t bytes[256];
    uint32_t firsts[257], count = 0;
    for (uint32_t i = first; i < last; ++i) {
      const uint8_t byte = byteAt(entries[i], depth);
      if (count == 0 || byte != bytes[count - 1]) bytes[count] = byte, firsts[count++] = i;
    }
    firsts[count] = last;
    uint32_t start = Tables::kRootChildren;
    if (depth > 0) {
      trie[slot].children = start = layout.place({bytes, count});
    } else {
      layout.take(start, {bytes, count});
    }
    if (start > kMaxSlots) return {};
    // Any byte may be looked for.
    if (trie.size() < start + size_t{256}) trie.resize(start + size_t{256}, {Tables::kNoChildren, kNoToken});
    for (uint32_t i = count; i-- > 0;) {
      const uint32_t child = start + bytes[i];
      trie[child].byteAndToken = static_cast<uint32_t>(bytes[i]) << 24 | kNoToken;
      open.push_back({firsts[i], firsts[i + 1], depth + 1, child});
    }
  }
  // A free slot holds a byte with which nothing comes there.
  for (size_t slot = 0; slot < trie.size(); ++slot) {
    if (layout.isTaken(slot)) continue;
    uint32_t byte = 0;
    while (byte <= slot && layout.isStart(slot - byte)) ++byte;
    trie[slot].byteAndToken = byte << 24 | kNoToken;
  }
  return trie;
}

}  // namespace quipu::tokenizer

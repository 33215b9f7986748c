#include "tokenizer/trie_builder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

namespace quipu::tokenizer {

namespace {

constexpr size_t kHead = 8;
constexpr size_t kBytes = 256;  // any may be looked for below a node
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
  void take(size_t at) {
    if (at / 64 + 1 >= words_.size()) words_.resize(at / 32 + 1024);
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

// By their first two bytes, then each of those ranges for itself.
void sortEntries(std::vector<TrieEntry>& entries) {
  constexpr size_t kRanges = 1 << 16;
  std::vector<uint32_t> ends(kRanges + 1);
  for (const TrieEntry& entry : entries) ++ends[(entry.head >> 48) + 1];
  for (size_t range = 0; range < kRanges; ++range) ends[range + 1] += ends[range];
  std::vector<TrieEntry> sorted(entries.size());
  for (const TrieEntry& entry : entries) sorted[ends[entry.head >> 48]++] = entry;
  for (auto first = sorted.begin(); first != sorted.end();) {
    const auto last = sorted.begin() + ends[first->head >> 48];
    std::sort(first, last, [](const TrieEntry& a, const TrieEntry& b) { return isBefore(a, b); });
    first = last;
  }
  entries.swap(sorted);
}

class TrieMaker {
 public:
  explicit TrieMaker(std::span<const TrieEntry> entries) : entries_(entries) {
    trie_.reserve(entries.size() * 3 + kBytes);
    trie_.resize(Tables::kRootChildren + kBytes, kFree);
    trie_[Tables::kNoChildren].byteAndToken = kNoByte | kNoToken;
  }

  std::vector<TrieSlot> make() {
    open_.push_back({0, static_cast<uint32_t>(entries_.size()), 0, 0});
    while (!open_.empty() && trie_.size() < kMaxSlots) {
      const Range range = open_.back();
      open_.pop_back();
      addChildren(range);
    }
    if (!open_.empty()) return {};
    return std::move(trie_);
  }

 private:
  // A free slot has neither token nor children: its byte is 0, and so is that of NUL's slot.
  static constexpr TrieSlot kFree{Tables::kNoChildren, kNoToken};
  // In the slot where the walk ends that went on from a free one: only the byte 0 leads there from kNoChildren.
  static constexpr uint32_t kNoByte = 0xff000000;

  // Entries [first, last) begin with the same `depth` bytes, those of the node at `slot`.
  struct Range {
    uint32_t first, last, depth, slot;
  };

  void addChildren(Range range) {
    auto& [first, last, depth, slot] = range;
    if (depth > 0 && first < last && entries_[first].size == depth) setToken(slot, first++);
    if (first == last) return;
    if (first + 1 == last && depth > 0) return addRest(range);
    uint8_t bytes[kBytes];
    uint32_t firsts[kBytes + 1], count = 0;
    for (uint32_t i = first; i < last; ++i) {
      const uint8_t byte = byteAt(entries_[i], depth);
      if (count == 0 || byte != bytes[count - 1]) bytes[count] = byte, firsts[count++] = i;
    }
    firsts[count] = last;
    uint32_t start = Tables::kRootChildren;
    if (depth > 0) {
      start = place(slot, {bytes, count});
    } else {
      layout_.take(start, {bytes, count});
    }
    for (uint32_t i = count; i-- > 0;) {
      open_.push_back({firsts[i], firsts[i + 1], depth + 1, addChild(start, bytes[i])});
    }
  }

  // A node with one entry below it: most are.
  void addRest(const Range& range) {
    uint32_t slot = range.slot;
    for (uint32_t depth = range.depth; depth < entries_[range.first].size; ++depth) {
      const uint8_t byte = byteAt(entries_[range.first], depth);
      slot = addChild(place(slot, {&byte, 1}), byte);
    }
    setToken(slot, range.first);
  }

  uint32_t place(uint32_t slot, std::span<const uint8_t> bytes) {
    const uint32_t start = layout_.place(bytes);
    if (trie_.size() < start + kBytes) trie_.resize(start + kBytes, kFree);
    return trie_[slot].children = start;
  }
  uint32_t addChild(uint32_t start, uint8_t byte) {
    trie_[start + byte].byteAndToken = static_cast<uint32_t>(byte) << 24 | kNoToken;
    return start + byte;
  }
  void setToken(uint32_t slot, uint32_t token) {
    trie_[slot].byteAndToken = (trie_[slot].byteAndToken & ~kNoToken) | token;
  }

  std::span<const TrieEntry> entries_;
  std::vector<TrieSlot> trie_;
  std::vector<Range> open_;
  Layout layout_;
};

}  // namespace

TrieEntry trieEntry(const uint8_t* bytes, uint32_t size, uint32_t index) {
  uint64_t word = 0;
  memcpy(&word, bytes, std::min<size_t>(size, kHead));
  return {__builtin_bswap64(word), bytes, size, index};
}

std::vector<TrieSlot> buildTrie(std::vector<TrieEntry>& entries) {
  sortEntries(entries);
  return TrieMaker(entries).make();
}

}  // namespace quipu::tokenizer

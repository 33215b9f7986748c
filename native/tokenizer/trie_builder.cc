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

// log2 of the smallest power of two modulo which the bytes differ.
uint32_t sizeOfChildren(std::span<const uint8_t> bytes) {
  for (auto log2 = static_cast<uint32_t>(std::bit_width(bytes.size() - 1)); log2 < 8; ++log2) {
    uint64_t taken[4] = {};
    bool apart = true;
    for (const uint8_t byte : bytes) {
      const uint32_t at = byte & ((1u << log2) - 1);
      apart = apart && (taken[at / 64] >> at % 64 & 1) == 0;
      taken[at / 64] |= uint64_t{1} << at % 64;
    }
    if (apart) return log2;
  }
  return 8;
}

}  // namespace

TrieEntry trieEntry(const uint8_t* bytes, uint32_t size, uint32_t token) {
  uint64_t word = 0;
  memcpy(&word, bytes, std::min<size_t>(size, kHead));
  return {__builtin_bswap64(word), bytes, size, token};
}

std::vector<TrieSlot> buildTrie(std::span<TrieEntry> entries) {
  std::sort(entries.begin(), entries.end(), isBefore);
  // Entries [first, last) begin with the same `depth` bytes, those of the node at `slot`.
  struct Range {
    uint32_t first, last, depth, slot;
  };
  std::vector<Range> open;
  std::vector<TrieSlot> trie;
  trie.reserve(entries.size() * 4);
  const auto addChildren = [&](uint32_t log2) {
    const auto start = static_cast<uint32_t>(trie.size());
    // One bit differs from the slot's own: no byte that comes here.
    for (uint32_t i = 0; i < 1u << log2; ++i) trie.push_back({Tables::kNoChildren, (i ^ 1) << 24 | kNoToken});
    return start << 4 | log2;
  };
  addChildren(Tables::kNoChildren & 15);
  addChildren(Tables::kRootChildren & 15);
  open.push_back({0, static_cast<uint32_t>(entries.size()), 0, 0});
  while (!open.empty()) {
    auto [first, last, depth, slot] = open.back();
    open.pop_back();
    if (depth > 0 && first < last && entries[first].size == depth) {
      trie[slot].byteAndToken = (trie[slot].byteAndToken & ~kNoToken) | entries[first++].token;
    }
    if (first == last) continue;
    uint8_t bytes[256];
    uint32_t starts[257], count = 0;
    for (uint32_t i = first; i < last; ++i) {
      const uint8_t byte = byteAt(entries[i], depth);
      if (count == 0 || byte != bytes[count - 1]) bytes[count] = byte, starts[count++] = i;
    }
    starts[count] = last;
    if (trie.size() + 256 > kMaxSlots) return {};
    uint32_t children = Tables::kRootChildren;
    if (depth > 0) trie[slot].children = children = addChildren(sizeOfChildren({bytes, count}));
    for (uint32_t i = count; i-- > 0;) {
      const uint32_t child = (children >> 4) + (bytes[i] & ((1u << (children & 15)) - 1));
      trie[child].byteAndToken = static_cast<uint32_t>(bytes[i]) << 24 | kNoToken;
      open.push_back({starts[i], starts[i + 1], depth + 1, child});
    }
  }
  return trie;
}

}  // namespace quipu::tokenizer

// Lays out the trie of tables.h.
#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/tables.h"

namespace quipu::tokenizer {

struct TrieEntry {
  uint64_t head;  // the first eight bytes as a big-endian number, zeros after the end
  const uint8_t* bytes;
  uint32_t size;  // at least 1
  uint32_t index;
};

TrieEntry trieEntry(const uint8_t* bytes, uint32_t size, uint32_t index);

// Sorts entries, which differ in their bytes, by them: their places are the numbers of the tokens. Empty where the trie
// would be larger than its links can say.
std::vector<TrieSlot> buildTrie(std::vector<TrieEntry>& entries);

}  // namespace quipu::tokenizer

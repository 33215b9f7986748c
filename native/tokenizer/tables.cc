#include "tokenizer/tables.h"

#include <cstring>

namespace quipu::tokenizer {

template <typename T>
const T* Tables::section(Section which, size_t& count) const {
  const auto& place = reinterpret_cast<const Header*>(block_)->sections[which];
  count = place.bytes / sizeof(T);
  return reinterpret_cast<const T*>(block_ + place.offset);
}

Tables::Tables(std::shared_ptr<const void> owner, const uint8_t* block) : owner_(std::move(owner)), block_(block) {
  const auto& header = *reinterpret_cast<const Header*>(block);
  blockBytes_ = header.bytes;
  kind_ = static_cast<Kind>(header.kind);
  vocabSize_ = static_cast<uint32_t>(header.vocabSize);
  tokens_ = static_cast<uint32_t>(header.tokens);
  byteTokens_ = header.byteTokens;
  hasAllBytes_ = true;
  for (const uint32_t token : header.byteTokens) hasAllBytes_ = hasAllBytes_ && token != kNoToken;
  size_t count;
  offsets_ = section<uint32_t>(kOffsets, count);
  blob_ = section<uint8_t>(kBlob, count);
  ids_ = section<uint32_t>(kIds, count);
  trie_ = section<TrieSlot>(kTrie, count);
  mergeOffsets_ = section<uint32_t>(kMergeOffsets, count);
  merges_ = section<Merge>(kMergeList, count);
  const char* document = section<char>(kDocument, count);
  document_ = {document, count};
}

uint32_t Tables::priorityOfLong(uint32_t merged, size_t leftBytes) const {
  for (uint32_t at = mergeOffsets_[merged]; at < mergeOffsets_[merged + 1]; at += 2) {
    uint32_t upper;
    memcpy(&upper, &merges_[at + 1], sizeof upper);
    if ((upper << 8 | merges_[at].leftBytes) == leftBytes) return merges_[at].priority;
  }
  return kNever;
}

}  // namespace quipu::tokenizer

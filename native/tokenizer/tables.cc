#include "tokenizer/tables.h"

#include <cstring>

namespace quipu::tokenizer {

namespace {

template <typename T>
const T* startOf(std::span<const uint8_t> section) {
  return reinterpret_cast<const T*>(section.data());
}

}  // namespace

Tables::Tables(std::shared_ptr<const void> owner, const Sections& sections)
    : owner_(std::move(owner)), sections_(sections) {
  const auto& summary = *startOf<Summary>(sections[kSummary]);
  kind_ = static_cast<Kind>(summary.kind);
  vocabSize_ = summary.vocabSize;
  tokens_ = summary.tokens;
  byteTokens_ = summary.byteTokens;
  hasAllBytes_ = true;
  for (const uint32_t token : summary.byteTokens) hasAllBytes_ = hasAllBytes_ && token != kNoToken;
  offsets_ = startOf<uint32_t>(sections[kOffsets]);
  blob_ = startOf<uint8_t>(sections[kBlob]);
  ids_ = startOf<uint32_t>(sections[kIds]);
  trie_ = startOf<TrieSlot>(sections[kTrie]);
  mergeOffsets_ = startOf<uint32_t>(sections[kMergeOffsets]);
  merges_ = startOf<Merge>(sections[kMergeList]);
  document_ = {startOf<char>(sections[kDocument]), sections[kDocument].size()};
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

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
  ofCharacters_ = summary.unit == Unit::kCharacter;
  byteTokens_ = summary.byteTokens;
  hasAllBytes_ = true;
  for (const uint32_t token : summary.byteTokens) hasAllBytes_ = hasAllBytes_ && token != kNoToken;
  offsets_ = startOf<uint32_t>(sections[kOffsets]);
  blob_ = startOf<uint8_t>(sections[kBlob]);
  ids_ = startOf<uint32_t>(sections[kIds]);
  trie_ = startOf<TrieSlot>(sections[kTrie]);
  mergeOffsets_ = startOf<uint32_t>(sections[kMergeOffsets]);
  priorities_ = kind_ == kScores ? mergeOffsets_ : ids_;
  merges_ = startOf<Merge>(sections[kMergeList]);
  document_ = {startOf<char>(sections[kDocument]), sections[kDocument].size()};
}

bool Tables::hasFallback() const {
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool inUtf8 = byte < 0xc0 || (byte > 0xc1 && byte < 0xf5);
    if (inUtf8 && summary().fallbackIds[byte] == kNoToken) return false;
  }
  return true;
}

bool Tables::isMerged(uint32_t token) const {
  const auto part = bytesOf(idOf(token));
  for (uint32_t other = 0; other < tokens_; ++other) {
    const auto whole = bytesOf(idOf(other));
    if (whole.size() <= part.size()) continue;
    const size_t rest = whole.size() - part.size();
    const bool first = memcmp(whole.data(), part.data(), part.size()) == 0;
    const bool last = memcmp(whole.data() + rest, part.data(), part.size()) == 0;
    if (first && priorityOf(other, part.size(), whole.size()) != kNever) return true;
    if (last && priorityOf(other, rest, whole.size()) != kNever) return true;
  }
  return false;
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

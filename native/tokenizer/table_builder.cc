#include "tokenizer/table_builder.h"

#include <sys/mman.h>

#include <bit>

namespace quipu::tokenizer {

namespace {

constexpr size_t kAlignment = 64;

// Zeroed memory in huge pages where the system has them: lookups go all over the tables, and with small pages most of
// them would also wait for the page table. Null where there is none.
std::shared_ptr<uint8_t> allocateZeroed(size_t bytes) {
  constexpr size_t kHugePage = 2 << 20;
  const size_t mapped = bytes + kHugePage;
  void* data = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return nullptr;
  std::shared_ptr<void> owner(data, [mapped](void* whole) { munmap(whole, mapped); });
  auto* start = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(data) + kHugePage - 1) / kHugePage * kHugePage);
#if defined(MADV_HUGEPAGE)
  if (bytes >= kHugePage) madvise(start, bytes, MADV_HUGEPAGE);
#endif
  return {std::move(owner), start};
}

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

void TableBuilder::add(uint32_t id, bool encodes) {
  tokens_.push_back({id, static_cast<uint32_t>(added_), static_cast<uint32_t>(pendingBytes()), encodes});
  added_ = blob_.size();
}

TableBuilder::Duplicate TableBuilder::indexTokens() {
  uint32_t vocabSize = 0;
  for (const Token& token : tokens_) vocabSize = token.id < vocabSize ? vocabSize : token.id + 1;
  tokenOfId_.assign(vocabSize, 0);
  blob_.resize(added_ + kPadding);
  slots_.assign(std::bit_ceil(tokens_.size() + tokens_.size() / 2 + 1), {0, 0});  // at most two thirds full
  const size_t mask = slots_.size() - 1;
  for (size_t index = 0; index < tokens_.size(); ++index) {
    const Token& token = tokens_[index];
    if (tokenOfId_[token.id] != 0) return {index, true};
    tokenOfId_[token.id] = static_cast<uint32_t>(index) + 1;
    if (!token.encodes) continue;
    const uint8_t* bytes = blob_.data() + token.start;
    const uint64_t hash = hashOf(bytes, token.bytes);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    size_t slot = hash & mask;
    for (; slots_[slot].number != 0; slot = (slot + 1) & mask) {
      const Token& other = tokens_[slots_[slot].number - 1];
      if (slots_[slot].tag == tag && other.bytes == token.bytes &&
          sameBytes(blob_.data() + other.start, bytes, token.bytes)) {
        return {index, false};
      }
    }
    slots_[slot] = {tag, static_cast<uint32_t>(index) + 1};
  }
  return {kNone, false};
}

void TableBuilder::find(std::span<Query> queries) const {
  const size_t mask = slots_.size() - 1;
  for (Query& query : queries) {
    query.hash = hashOf(query.bytes, query.size);
    __builtin_prefetch(&slots_[query.hash & mask]);
  }
  for (const Query& query : queries) {
    const uint32_t number = slots_[query.hash & mask].number;
    if (number != 0) __builtin_prefetch(&tokens_[number - 1]);
  }
  for (const Query& query : queries) {
    const uint32_t number = slots_[query.hash & mask].number;
    if (number != 0) __builtin_prefetch(&blob_[tokens_[number - 1].start]);
  }
  for (Query& query : queries) {
    query.token = kNoToken;
    for (size_t slot = query.hash & mask; slots_[slot].number != 0; slot = (slot + 1) & mask) {
      if (slots_[slot].tag != query.hash >> 32) continue;
      const Token& token = tokens_[slots_[slot].number - 1];
      if (token.bytes == query.size && sameBytes(blob_.data() + token.start, query.bytes, query.size)) {
        query.token = token.id;
        break;
      }
    }
  }
}

std::vector<TrieEntry> TableBuilder::entries() const {
  std::vector<TrieEntry> entries;
  entries.reserve(tokens_.size());
  for (const Token& token : tokens_) {
    if (token.encodes) entries.push_back(trieEntry(blob_.data() + token.start, token.bytes, token.id));
  }
  return entries;
}

void TableBuilder::fillMerges(uint32_t* offsets, MergeSlot* slots) const {
  const size_t vocabSize = tokenOfId_.size();
  for (const Merge& merge : merges_) ++offsets[merge.merged + 1];
  for (size_t id = 0; id < vocabSize; ++id) offsets[id + 1] += offsets[id];
  for (size_t i = 0; i < merges_.size(); ++i) slots[i].left = kNoToken;
  for (size_t i = 0; i < merges_.size(); ++i) {
    uint32_t at = offsets[merges_[i].merged];
    while (slots[at].left != kNoToken && slots[at].left != merges_[i].left) ++at;
    slots[at] = {merges_[i].left, static_cast<uint32_t>(i)};
  }
}

Status TableBuilder::finish(std::string_view document, std::shared_ptr<Tables>& out) {
  const size_t vocabSize = tokenOfId_.size();
  std::vector<TrieEntry> sorted = entries();
  const std::vector<TrieSlot> trie = buildTrie(sorted);
  if (trie.empty()) return Status::error(ErrorCode::kTokenizerInvalid, "the tokens are too long for this version");
  Header header{};
  memcpy(header.magic, kTablesMagic, sizeof kTablesMagic);
  header.version = kTablesVersion;
  header.kind = kind_;
  header.vocabSize = vocabSize;
  size_t end = aligned(sizeof(Header));
  const auto place = [&](Section section, size_t bytes, size_t padding) {
    header.sections[section] = {end, bytes};
    end = aligned(end + bytes + padding);
  };
  place(kOffsets, (vocabSize + 1) * sizeof(uint32_t), 0);
  place(kBlob, added_, kPadding);
  place(kTrie, trie.size() * sizeof(TrieSlot), 0);
  place(kMergeOffsets, kind_ == Tables::kMerges ? (vocabSize + 1) * sizeof(uint32_t) : 0, 0);
  place(kMergeSlots, merges_.size() * sizeof(MergeSlot), 0);
  place(kDocument, document.size(), 0);
  header.bytes = end;
  std::shared_ptr<uint8_t> owner = allocateZeroed(end);
  uint8_t* const block = owner.get();
  if (block == nullptr) {
    return Status::error(ErrorCode::kOutOfMemory, "the vocabulary needs " + std::to_string(end) + " bytes");
  }
  const auto at = [&](Section section) { return block + header.sections[section].offset; };
  memcpy(at(kTrie), trie.data(), trie.size() * sizeof(TrieSlot));
  if (kind_ == Tables::kMerges) {
    fillMerges(reinterpret_cast<uint32_t*>(at(kMergeOffsets)), reinterpret_cast<MergeSlot*>(at(kMergeSlots)));
  }
  for (uint32_t& token : header.byteTokens) token = kNoToken;
  auto* offsets = reinterpret_cast<uint32_t*>(at(kOffsets));
  uint8_t* blob = at(kBlob);
  uint32_t start = 0;
  for (size_t id = 0; id < vocabSize; ++id) {
    offsets[id] = start;
    if (tokenOfId_[id] == 0) continue;
    const Token& token = tokens_[tokenOfId_[id] - 1];
    memcpy(blob + start, blob_.data() + token.start, token.bytes);
    if (token.bytes == 1 && token.encodes) header.byteTokens[blob[start]] = static_cast<uint32_t>(id);
    start += token.bytes;
  }
  offsets[vocabSize] = start;
  if (!document.empty()) memcpy(at(kDocument), document.data(), document.size());
  memcpy(block, &header, sizeof header);
  out = std::make_shared<Tables>(std::move(owner), block);
  return {};
}

}  // namespace quipu::tokenizer

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

// At most two thirds full.
size_t slotsFor(size_t rows) { return std::bit_ceil(rows + rows / 2 + 1); }

void TableBuilder::add(uint32_t id, bool encodes) {
  tokens_.push_back({id, static_cast<uint32_t>(added_), static_cast<uint32_t>(pendingBytes()), encodes});
  added_ = blob_.size();
}

TableBuilder::Duplicate TableBuilder::indexTokens() {
  uint32_t vocabSize = 0;
  for (const Token& token : tokens_) vocabSize = token.id < vocabSize ? vocabSize : token.id + 1;
  tokenOfId_.assign(vocabSize, 0);
  blob_.resize(added_ + kPadding);
  slots_.assign(slotsFor(tokens_.size()), {0, 0});
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

void TableBuilder::addMerge(uint32_t left, uint32_t right, uint32_t merged) {
  merges_.push_back({left, right, merged});
}

bool TableBuilder::fillTrie(TrieSlot* trie, size_t slots) const {
  const size_t mask = slots - 1;
  size_t nodes = 0;
  for (const Token& token : tokens_) {
    if (!token.encodes) continue;
    uint32_t parent = Tables::kRoot;
    for (uint32_t i = 0; i < token.bytes; ++i) {
      const uint8_t byte = blob_[token.start + i];
      const uint32_t key = static_cast<uint32_t>(byte) << 24;
      size_t slot = Tables::trieHash(parent, byte) & mask;
      while (trie[slot].parent != 0 && (trie[slot].parent != parent || (trie[slot].byteAndToken & ~kNoToken) != key)) {
        slot = (slot + 1) & mask;
      }
      if (trie[slot].parent == 0) {
        if (++nodes * 4 > slots * 3) return false;
        trie[slot] = {parent, key | kNoToken};
      }
      if (i + 1 == token.bytes) trie[slot].byteAndToken = key | token.id;
      parent = static_cast<uint32_t>(slot) + 2;
    }
  }
  return true;
}

void TableBuilder::fillPairs(PairSlot* pairs, size_t slots) const {
  const size_t mask = slots - 1;
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < merges_.size(); ++i) {
    if (i + kAhead < merges_.size()) {
      const Merge& later = merges_[i + kAhead];
      __builtin_prefetch(&pairs[Tables::pairHash(later.left, later.right) & mask], 1);
    }
    const Merge& merge = merges_[i];
    size_t slot = Tables::pairHash(merge.left, merge.right) & mask;
    while (pairs[slot].left != 0 && (pairs[slot].left != merge.left + 1 || pairs[slot].right != merge.right)) {
      slot = (slot + 1) & mask;
    }
    pairs[slot] = {merge.left + 1, merge.right, {static_cast<uint32_t>(i), merge.merged}};
  }
}

Status TableBuilder::finish(std::string_view document, std::shared_ptr<Tables>& out) {
  const size_t vocabSize = tokenOfId_.size();
  const size_t pairSlots = slotsFor(merges_.size());
  // Published vocabularies have about two nodes for each token.
  for (size_t trieSlots = slotsFor(tokens_.size() * 2);; trieSlots *= 2) {
    if (trieSlots > UINT32_MAX / 4) {
      return Status::error(ErrorCode::kTokenizerInvalid, "the tokens are too long for this version");
    }
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
    place(kTokenSlots, slots_.size() * sizeof(TokenSlot), 0);
    place(kTrie, trieSlots * sizeof(TrieSlot), 0);
    place(kPairs, pairSlots * sizeof(PairSlot), 0);
    place(kDocument, document.size(), 0);
    header.bytes = end;
    std::shared_ptr<uint8_t> owner = allocateZeroed(end);
    uint8_t* const block = owner.get();
    if (block == nullptr) {
      return Status::error(ErrorCode::kOutOfMemory, "the vocabulary needs " + std::to_string(end) + " bytes");
    }
    if (!fillTrie(reinterpret_cast<TrieSlot*>(block + header.sections[kTrie].offset), trieSlots)) continue;
    fillPairs(reinterpret_cast<PairSlot*>(block + header.sections[kPairs].offset), pairSlots);
    for (uint32_t& token : header.byteTokens) token = kNoToken;
    auto* offsets = reinterpret_cast<uint32_t*>(block + header.sections[kOffsets].offset);
    uint8_t* blob = block + header.sections[kBlob].offset;
    uint32_t at = 0;
    for (size_t id = 0; id < vocabSize; ++id) {
      offsets[id] = at;
      if (tokenOfId_[id] == 0) continue;
      const Token& token = tokens_[tokenOfId_[id] - 1];
      memcpy(blob + at, blob_.data() + token.start, token.bytes);
      if (token.bytes == 1 && token.encodes) header.byteTokens[blob[at]] = static_cast<uint32_t>(id);
      at += token.bytes;
    }
    offsets[vocabSize] = at;
    auto* slots = reinterpret_cast<TokenSlot*>(block + header.sections[kTokenSlots].offset);
    for (size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].number != 0) slots[i] = {slots_[i].tag, tokens_[slots_[i].number - 1].id + 1};
    }
    if (!document.empty()) memcpy(block + header.sections[kDocument].offset, document.data(), document.size());
    memcpy(block, &header, sizeof header);
    out = std::make_shared<Tables>(std::move(owner), block);
    return {};
  }
}

}  // namespace quipu::tokenizer

#include "tokenizer/table_builder.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <new>

#include "tokenizer/unicode.h"

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

uint32_t upperOf(const Merge* merge) {
  uint32_t upper;
  memcpy(&upper, merge + 1, sizeof upper);
  return upper;
}

}  // namespace

TableBuilder::TableBuilder(Tables::Kind kind, size_t bytes, Unit unit)
    : kind_(kind), unit_(unit), blob_(static_cast<uint8_t*>(malloc(bytes + kPadding))), capacity_(bytes) {
  if (blob_ == nullptr) throw std::bad_alloc();
  // A line of tokenizer.json has about thirty bytes; pages that are never touched take no memory.
  tokens_.reserve(bytes / 32);
  std::fill(std::begin(fallbackIds_), std::end(fallbackIds_), kNoToken);
}

void TableBuilder::add(uint32_t id, const uint8_t* end, bool encodes) {
  const auto size = static_cast<uint32_t>(end - next());
  tokens_.push_back({id, static_cast<uint32_t>(used_), size, encodes});
  used_ += size;
}

TableBuilder::Duplicate TableBuilder::indexTokens() {
  constexpr size_t kAhead = 16;
  uint32_t vocabSize = 0;
  for (const Token& token : tokens_) vocabSize = token.id < vocabSize ? vocabSize : token.id + 1;
  tokenOfId_.assign(vocabSize, 0);
  memset(blob_.get() + used_, 0, kPadding);
  slots_.assign(std::bit_ceil(tokens_.size() + tokens_.size() / 2 + 1), {0, 0});  // at most two thirds full
  const size_t mask = slots_.size() - 1;
  uint64_t hashes[kAhead];
  const auto prepare = [&](size_t index) {
    if (index >= tokens_.size()) return;
    hashes[index % kAhead] = hashOf(blob_.get() + tokens_[index].start, tokens_[index].bytes);
    __builtin_prefetch(&slots_[hashes[index % kAhead] & mask], 1);
  };
  for (size_t index = 0; index < kAhead; ++index) prepare(index);
  for (size_t index = 0; index < tokens_.size(); ++index) {
    const uint64_t hash = hashes[index % kAhead];
    prepare(index + kAhead);
    const Token& token = tokens_[index];
    if (tokenOfId_[token.id] != 0) return {index, true};
    tokenOfId_[token.id] = static_cast<uint32_t>(index) + 1;
    if (!token.encodes) continue;
    const auto tag = static_cast<uint32_t>(hash >> 32);
    size_t slot = hash & mask;
    for (; slots_[slot].number != 0; slot = (slot + 1) & mask) {
      if (slots_[slot].tag == tag && isToken(slots_[slot].number - 1, blob_.get() + token.start, token.bytes)) {
        return {index, false};
      }
    }
    slots_[slot] = {tag, static_cast<uint32_t>(index) + 1};
  }
  trie_ = std::async(std::launch::async | std::launch::deferred, [this] { return makeTrie(); });
  return {kNone, false};
}

bool TableBuilder::isToken(size_t index, const uint8_t* bytes, size_t size) const {
  if (index >= tokens_.size()) return false;
  const Token& token = tokens_[index];
  return token.encodes && token.bytes == size && sameBytes(blob_.get() + token.start, bytes, size);
}

TableBuilder::Query TableBuilder::prefetch(const uint8_t* bytes, size_t size) const {
  const Query query{bytes, size, hashOf(bytes, size)};
  __builtin_prefetch(&slots_[query.hash & (slots_.size() - 1)]);
  return query;
}

void TableBuilder::find(std::span<Query> queries) const {
  const size_t mask = slots_.size() - 1;
  for (const Query& query : queries) {
    const uint32_t number = slots_[query.hash & mask].number;
    if (number != 0) __builtin_prefetch(&tokens_[number - 1]);
  }
  for (const Query& query : queries) {
    const uint32_t number = slots_[query.hash & mask].number;
    if (number != 0) __builtin_prefetch(blob_.get() + tokens_[number - 1].start);
  }
  for (Query& query : queries) {
    const auto tag = static_cast<uint32_t>(query.hash >> 32);
    for (size_t slot = query.hash & mask; slots_[slot].number != 0; slot = (slot + 1) & mask) {
      if (slots_[slot].tag == tag && isToken(slots_[slot].number - 1, query.bytes, query.size)) {
        query.index = slots_[slot].number - 1;
        break;
      }
    }
  }
}

void TableBuilder::findFallback() {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint8_t name[6 + kPadding] = {'<', '0', 'x', 0, 0, '>'};
    name[3] = static_cast<uint8_t>(kHex[byte / 16]);
    name[4] = static_cast<uint8_t>(kHex[byte % 16]);
    Query query = prefetch(name, 6);
    find({&query, 1});
    if (query.index != kNoIndex) fallbackIds_[byte] = idOf(query.index);
  }
}

void TableBuilder::notePart(const Query& token) {
  const bool isFallback = token.size == 6 && memcmp(token.bytes, "<0x", 3) == 0 && token.bytes[5] == '>';
  mergesFallback_ = mergesFallback_ || isFallback;
}

TableBuilder::Trie TableBuilder::makeTrie() const {
  Trie trie;
  trie.sorted.reserve(tokens_.size());
  for (uint32_t index = 0; index < tokens_.size(); ++index) {
    const Token& token = tokens_[index];
    if (token.encodes) trie.sorted.push_back(trieEntry(blob_.get() + token.start, token.bytes, index));
  }
  trie.slots = buildTrie(trie.sorted);
  return trie;
}

void TableBuilder::fillMerges(std::span<const TrieEntry> sorted, uint32_t* offsets, Merge* list) const {
  std::vector<uint32_t> counts(tokens_.size()), starts(tokens_.size());
  for (const ListedMerge& merge : merges_) counts[merge.merged] += wordsOf(merge.merged);
  for (uint32_t number = 0; number < sorted.size(); ++number) {
    const uint32_t index = sorted[number].index;
    starts[index] = offsets[number];
    offsets[number + 1] = offsets[number] + counts[index];
  }
  constexpr size_t kAhead = 16;
  for (size_t priority = 0; priority < merges_.size(); ++priority) {
    const ListedMerge& merge = merges_[priority];
    if (priority + kAhead < merges_.size()) {
      __builtin_prefetch(list + starts[merges_[priority + kAhead].merged], 1);
    }
    const uint32_t words = wordsOf(merge.merged), lower = merge.leftBytes & kMaxLeft, upper = merge.leftBytes >> 8;
    uint32_t at = starts[merge.merged];
    // No left part is empty, so a way of length 0 is a free place.
    const auto lengthAt = [&] { return list[at].leftBytes | (words == 2 ? upperOf(list + at) << 8 : 0); };
    while (lengthAt() != 0 && lengthAt() != merge.leftBytes) at += words;
    list[at] = {static_cast<uint32_t>(priority), lower};
    if (words == 2) memcpy(list + at + 1, &upper, sizeof upper);
  }
}

Status TableBuilder::finish(std::string_view document, std::shared_ptr<Tables>& out) {
  const size_t vocabSize = tokenOfId_.size();
  if (merges_.size() > kMaxMerges) {
    return Status::error(ErrorCode::kTokenizerInvalid,
                         std::to_string(merges_.size()) + " merges: expected at most " + std::to_string(kMaxMerges));
  }
  const auto [sorted, trie] = trie_.get();
  if (trie.empty()) return Status::error(ErrorCode::kTokenizerInvalid, "the tokens are too long for this version");
  size_t words = 0;
  for (const ListedMerge& merge : merges_) words += wordsOf(merge.merged);
  size_t sizes[kSections];
  sizes[kSummary] = sizeof(Summary);
  sizes[kOffsets] = (vocabSize + 1) * sizeof(uint32_t);
  sizes[kBlob] = used_ + kPadding;
  sizes[kIds] = sorted.size() * sizeof(uint32_t);
  sizes[kTrie] = trie.size() * sizeof(TrieSlot);
  sizes[kMergeOffsets] = mergeOffsetsBytes(kind_, sorted.size());
  sizes[kMergeList] = words * sizeof(Merge);
  sizes[kDocument] = document.size();
  size_t starts[kSections], bytes = 0;
  for (uint32_t section = 0; section < kSections; ++section) {
    starts[section] = bytes;
    bytes += aligned(sizes[section]);
  }
  std::shared_ptr<uint8_t> owner = allocateZeroed(bytes);
  if (owner == nullptr) {
    return Status::error(ErrorCode::kOutOfMemory, "the vocabulary needs " + std::to_string(bytes) + " bytes");
  }
  const auto at = [&](Section section) { return owner.get() + starts[section]; };
  auto& summary = *reinterpret_cast<Summary*>(at(kSummary));
  summary.kind = kind_;
  summary.unit = unit_;
  summary.mergesFallback = mergesFallback_ ? 1 : 0;
  std::copy(std::begin(fallbackIds_), std::end(fallbackIds_), summary.fallbackIds);
  summary.vocabSize = static_cast<uint32_t>(vocabSize);
  summary.tokens = static_cast<uint32_t>(sorted.size());
  memcpy(at(kTrie), trie.data(), trie.size() * sizeof(TrieSlot));
  if (kind_ == Tables::kMerges) {
    fillMerges(sorted, reinterpret_cast<uint32_t*>(at(kMergeOffsets)), reinterpret_cast<Merge*>(at(kMergeList)));
  }
  for (uint32_t& token : summary.byteTokens) token = kNoToken;
  auto* ids = reinterpret_cast<uint32_t*>(at(kIds));
  for (uint32_t number = 0; number < sorted.size(); ++number) {
    ids[number] = tokens_[sorted[number].index].id;
    if (sorted[number].size == 1) summary.byteTokens[*sorted[number].bytes] = number;
  }
  if (kind_ == Tables::kScores) {
    auto* priorities = reinterpret_cast<uint32_t*>(at(kMergeOffsets));
    for (uint32_t number = 0; number < sorted.size(); ++number) priorities[number] = priorities_[sorted[number].index];
  }
  auto* offsets = reinterpret_cast<uint32_t*>(at(kOffsets));
  uint8_t* blob = at(kBlob);
  uint32_t start = 0;
  for (size_t id = 0; id < vocabSize; ++id) {
    offsets[id] = start;
    if (tokenOfId_[id] == 0) continue;
    const Token& token = tokens_[tokenOfId_[id] - 1];
    if (token.bytes <= kPadding) {
      memcpy(blob + start, blob_.get() + token.start, kPadding);  // what is too much, the next token overwrites
    } else {
      memcpy(blob + start, blob_.get() + token.start, token.bytes);
    }
    start += token.bytes;
  }
  offsets[vocabSize] = start;
  memset(blob + start, 0, kPadding);
  if (!document.empty()) memcpy(at(kDocument), document.data(), document.size());
  Sections sections;
  for (uint32_t section = 0; section < kSections; ++section) {
    sections[section] = {owner.get() + starts[section], sizes[section]};
  }
  out = std::make_shared<Tables>(std::move(owner), sections);
  if (unit_ == Unit::kCharacter) noteAlone(*out, ids);
  return {};
}

// Of all tokens, also those that text does not become: what is in one may be a part of a merge.
void TableBuilder::noteAlone(const Tables& tables, uint32_t* ids) const {
  std::vector<bool> isPart(tables.tokens());
  std::vector<uint32_t> characters;
  for (const Token& token : tokens_) {
    const uint8_t *p = blob_.get() + token.start, *const end = p + token.bytes;
    const bool isCharacter = p < end && characterBytes(*p) == token.bytes;
    for (size_t size; p < end; p += size) {
      size = characterBytes(*p);
      const uint32_t number = tables.characterToken(p, size);
      if (number == kNoToken) continue;
      if (isCharacter) {
        characters.push_back(number);
      } else {
        isPart[number] = true;
      }
    }
  }
  for (const uint32_t number : characters) {
    if (!isPart[number]) ids[number] |= kAlone;
  }
}

}  // namespace quipu::tokenizer

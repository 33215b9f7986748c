// The tables of a vocabulary: token bytes, tokens by their bytes, a trie for longest matches, and the merges. All of it
// lies in one block of memory without pointers, so that a block can be a file that is mapped (prepared_file.h).
//
// Two kinds of vocabulary differ in which pair of tokens merges first:
//   ranks    (tiktoken) two tokens merge where their bytes together are a token, lower ids first
//   merges   (tokenizer.json) two tokens merge where the list says so, earlier entries first
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "tokenizer/hash.h"

namespace quipu::tokenizer {

constexpr uint32_t kNoToken = 0xffffff;  // ids are below it: 24 bits, the largest published are below 300 000
constexpr size_t kMaxTokenBytes = 4096;  // published tokens have at most a few hundred

// Rows of open-addressing tables, whose size is a power of two. Zeros are an empty row.

// What two tokens become, and how early. kNoToken: they do not merge.
struct MergeResult {
  uint32_t priority;
  uint32_t merged;
};

struct TokenSlot {
  uint32_t tag;     // upper half of the hash
  uint32_t number;  // id + 1
};

// A node of the trie is the slot where it lies; its key is its parent and its byte.
struct TrieSlot {
  uint32_t parent;        // kRoot, or the parent's slot + 2
  uint32_t byteAndToken;  // byte << 24 | token; kNoToken where none ends
};

struct PairSlot {
  uint32_t left;  // id + 1
  uint32_t right;
  MergeResult result;
};

enum Section : uint32_t { kOffsets, kBlob, kTokenSlots, kTrie, kPairs, kDocument, kSections };

constexpr char kTablesMagic[8] = {'q', 'u', 'i', 'p', 'u', 't', 'o', 'k'};
constexpr uint32_t kTablesVersion = 1;  // of the layout below and of the hashes

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t kind;       // Tables::Kind
  uint64_t bytes;      // of the block
  uint64_t checksum;   // of what follows the header
  uint64_t source[4];  // what the block was made from (prepared_file.h)
  uint64_t vocabSize;
  uint32_t byteTokens[256];
  struct {
    uint64_t offset, bytes;
  } sections[kSections];
};

class Tables {
 public:
  enum Kind : uint32_t { kRanks, kMerges };
  static constexpr uint32_t kRoot = 1;

  // `owner` keeps the block alive. The block is trusted: check it first if it comes from a file.
  Tables(std::shared_ptr<const void> owner, const uint8_t* block);

  Kind kind() const { return kind_; }
  uint32_t vocabSize() const { return vocabSize_; }
  const uint8_t* block() const { return block_; }
  size_t blockBytes() const { return blockBytes_; }
  // What the source says besides vocabulary and merges.
  std::string_view document() const { return document_; }

  // Empty for an id without a token.
  std::span<const uint8_t> bytesOf(uint32_t id) const {
    return {blob_ + offsets_[id], offsets_[id + 1] - offsets_[id]};
  }
  // Offsets of all tokens in blob(); kPadding more than blob() may be read.
  const uint32_t* offsets() const { return offsets_; }
  const uint8_t* blob() const { return blob_; }

  // The token of one byte, or kNoToken: some vocabularies lack bytes.
  uint32_t byteToken(uint8_t byte) const { return byteTokens_[byte]; }
  bool hasAllBytes() const { return hasAllBytes_; }

  // The token with these bytes, or kNoToken. kPadding more than the bytes may be read.
  uint32_t find(const uint8_t* p, size_t bytes) const {
    const uint64_t hash = hashOf(p, bytes);
    for (size_t slot = hash & tokenMask_;; slot = (slot + 1) & tokenMask_) {
      const TokenSlot entry = tokenSlots_[slot];
      if (entry.number == 0) return kNoToken;
      if (entry.tag == hash >> 32 && hasBytes(entry.number - 1, p, bytes)) return entry.number - 1;
    }
  }

  // The longest token at p of at most `limit` bytes, or kNoToken.
  uint32_t longest(const uint8_t* p, size_t limit) const {
    uint32_t token = kNoToken, parent = kRoot;
    for (size_t i = 0; i < limit; ++i) {
      uint32_t slot = trieHash(parent, p[i]) & trieMask_;
      for (;; slot = (slot + 1) & trieMask_) {
        const TrieSlot node = trie_[slot];
        if (node.parent == 0) return token;
        if (node.parent != parent || node.byteAndToken >> 24 != p[i]) continue;
        if ((node.byteAndToken & kNoToken) != kNoToken) token = node.byteAndToken & kNoToken;
        break;
      }
      parent = slot + 2;
    }
    return token;
  }

  // What the list of merges says of a pair.
  MergeResult merge(uint32_t left, uint32_t right) const {
    for (size_t slot = pairHash(left, right) & pairMask_;; slot = (slot + 1) & pairMask_) {
      const PairSlot& entry = pairs_[slot];
      if (entry.left == left + 1 && entry.right == right) return entry.result;
      if (entry.left == 0) return {kNoToken, kNoToken};
    }
  }

  static uint32_t trieHash(uint32_t parent, uint8_t byte) {
    const uint64_t key = (static_cast<uint64_t>(parent) << 8 | byte) * 0x9e3779b97f4a7c15;
    return static_cast<uint32_t>(key >> 32);
  }
  static uint64_t pairHash(uint32_t left, uint32_t right) {
    const uint64_t key = (static_cast<uint64_t>(left) << 32 | right) * 0x9e3779b97f4a7c15;
    return key >> 29 ^ key >> 47;
  }

 private:
  bool hasBytes(uint32_t id, const uint8_t* p, size_t bytes) const {
    return offsets_[id + 1] - offsets_[id] == bytes && sameBytes(blob_ + offsets_[id], p, bytes);
  }

  template <typename T>
  const T* section(Section which, size_t& count) const;

  std::shared_ptr<const void> owner_;
  const uint8_t* block_;
  size_t blockBytes_;
  Kind kind_;
  uint32_t vocabSize_;
  bool hasAllBytes_;
  const uint32_t* offsets_;
  const uint8_t* blob_;
  const uint32_t* byteTokens_;
  const TokenSlot* tokenSlots_;
  size_t tokenMask_;
  const TrieSlot* trie_;
  uint32_t trieMask_;
  const PairSlot* pairs_;
  size_t pairMask_;
  std::string_view document_;
};

}  // namespace quipu::tokenizer

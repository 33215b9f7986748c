// The tables of a vocabulary: token bytes, a trie of them, and the merges. All of it lies in one block of memory
// without pointers, so that a block can be a file that is mapped (vocabulary_file.h).
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

namespace quipu::tokenizer {

constexpr uint32_t kNoToken = 0xffffff;  // ids are below it: 24 bits, the largest published are below 300 000
constexpr size_t kMaxTokenBytes = 4096;  // published tokens have at most a few hundred

// What two tokens become, and how early. kNoToken: they do not merge.
struct MergeResult {
  uint32_t priority;
  uint32_t merged;
};

// A node of the trie. The children of a node lie together, in the order of a walk through the tree, so that the tokens
// of one script share cache lines. The child of a byte is at `byte modulo size`, where size is the power of two that
// keeps a node's children apart; other slots there hold a byte that belongs elsewhere.
struct TrieSlot {
  uint32_t children;      // where they begin << 4 | log2 of how many slots they have
  uint32_t byteAndToken;  // byte << 24 | token; kNoToken where none ends
};

// A way to a token: merges of the list that make it are told apart by their left part, whose bytes are the first.
struct MergeSlot {
  uint32_t left;
  uint32_t priority;
};

enum Section : uint32_t { kOffsets, kBlob, kTrie, kMergeOffsets, kMergeSlots, kDocument, kSections };

constexpr char kTablesMagic[8] = {'q', 'u', 'i', 'p', 'u', 't', 'o', 'k'};
constexpr uint32_t kTablesVersion = 2;  // of the layout below

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t kind;       // Tables::Kind
  uint64_t bytes;      // of the block
  uint64_t checksum;   // of what follows the header
  uint64_t source[4];  // what the block was made from (vocabulary_file.h)
  uint64_t vocabSize;
  uint32_t byteTokens[256];
  struct {
    uint64_t offset, bytes;
  } sections[kSections];
};

class Tables {
 public:
  enum Kind : uint32_t { kRanks, kMerges };
  // The children of a node without any: no byte belongs to either slot.
  static constexpr uint32_t kNoChildren = 0 << 4 | 1;
  static constexpr uint32_t kRootChildren = 2 << 4 | 8;

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

  struct Match {
    uint32_t token;
    uint32_t bytes;
  };

  // The longest token at p of at most `limit` bytes, or kNoToken and 0.
  Match longest(const uint8_t* p, size_t limit) const {
    Match match{kNoToken, 0};
    uint32_t children = kRootChildren;
    for (uint32_t i = 0; i < limit; ++i) {
      const TrieSlot node = childOf(children, p[i]);
      if (node.byteAndToken >> 24 != p[i]) break;
      const uint32_t token = node.byteAndToken & kNoToken;
      if (token != kNoToken) match = {token, i + 1};
      children = node.children;
    }
    return match;
  }

  // The token with these bytes, at least one, or kNoToken.
  uint32_t find(const uint8_t* p, size_t bytes) const {
    TrieSlot node{kRootChildren, kNoToken};
    for (size_t i = 0; i < bytes; ++i) {
      node = childOf(node.children, p[i]);
      if (node.byteAndToken >> 24 != p[i]) return kNoToken;
    }
    return node.byteAndToken & kNoToken;
  }

  // How two tokens merge whose bytes lie together at p.
  MergeResult mergeOf(uint32_t left, const uint8_t* p, size_t bytes) const {
    const uint32_t merged = find(p, bytes);
    if (merged == kNoToken || kind_ == kRanks) return {merged, merged};
    for (uint32_t at = mergeOffsets_[merged]; at < mergeOffsets_[merged + 1]; ++at) {
      if (mergeSlots_[at].left == left) return {mergeSlots_[at].priority, merged};
    }
    return {kNoToken, kNoToken};
  }

 private:
  TrieSlot childOf(uint32_t children, uint8_t byte) const {
    return trie_[(children >> 4) + (byte & ((1u << (children & 15)) - 1))];
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
  const TrieSlot* trie_;
  const uint32_t* mergeOffsets_;
  const MergeSlot* mergeSlots_;
  std::string_view document_;
};

}  // namespace quipu::tokenizer

// The tables of a vocabulary: a trie of token bytes, the merges, and the bytes of each id. They are sections of bytes
// without pointers, so that they can be those of a prepared file (vocabulary_file.h).
//
// Two kinds of vocabulary differ in which pair of tokens merges first:
//   ranks    (tiktoken) two tokens merge where their bytes together are a token, lower ids first
//   merges   (tokenizer.json) two tokens merge where the list says so, earlier entries first
//   scores   (SentencePiece) two tokens merge where their text together is a piece, better scores first
//
// Merging begins with bytes, or with characters: then every token is text, and so is every part of one.
//
// Tokens have numbers of their own here, in the order of their bytes: those of one script are then neighbours in every
// table, and text in it works in a few kilobytes. Ids, which are in the order of learning, are looked up at the end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace quipu::tokenizer {

constexpr uint32_t kNoToken = 0xffffff;  // ids are below it: 24 bits, the largest published are below 300 000
constexpr size_t kMaxTokenBytes = 4096;  // published tokens have at most a few hundred
constexpr size_t kMaxMerges = 0xffffff;
constexpr uint32_t kNever = 0xffffffff;  // the priority of what does not merge

// A node of the trie, in a double array: the child for a byte is the slot `children + byte` if the byte of that slot is
// the same. The children of no two nodes begin at the same place, so a slot that fits belongs to the node; or it is
// free, and has neither token nor children. What has no children has them at kNoChildren, from where nothing fits: at
// that slot is a byte that cannot lead there.
struct TrieSlot {
  uint32_t children;
  uint32_t byteAndToken;  // byte << 24 | token; kNoToken where none ends
};

// A way to a token: how long the left part is, and how early the merge comes. Tokens of more than kMaxLeft bytes have a
// second word for each way, the upper bits of the length.
struct Merge {
  uint32_t priority : 24;
  uint32_t leftBytes : 8;
};
constexpr size_t kMaxLeft = 255;

// kMergeOffsets: of merges, where the ways to each token begin in kMergeList; of scores, the priority of each.
enum Section : uint32_t { kSummary, kOffsets, kBlob, kIds, kTrie, kMergeOffsets, kMergeList, kDocument, kSections };

constexpr uint32_t kTablesVersion = 8;  // of what lies in the sections

// Each aligned to 64 bytes. kBlob has kPadding bytes behind the last token's.
using Sections = std::array<std::span<const uint8_t>, kSections>;

// Beside an id in kIds: the token is a character that is in no other token.
constexpr uint32_t kAlone = 1u << 31;

// What merging begins with.
enum class Unit : uint32_t { kByte, kCharacter };

// What is in kSummary.
struct Summary {
  uint32_t kind;  // Tables::Kind
  uint32_t vocabSize, tokens;
  Unit unit;
  uint32_t mergesFallback;  // whether a merge names one of fallbackIds
  uint32_t byteTokens[256];
  uint32_t fallbackIds[256];  // for each byte the id of the token <0x00> to <0xFF>, by which a character that is no
                              // token can be written; kNoToken where there is none, as where merging begins with bytes
};

class Tables {
 public:
  enum Kind : uint32_t { kRanks, kMerges, kScores };
  static constexpr uint32_t kNoChildren = 0;  // no slot fits
  static constexpr uint32_t kRootChildren = 1;

  // `owner` keeps the sections alive. They are trusted: check them first if they come from a file.
  Tables(std::shared_ptr<const void> owner, const Sections& sections);

  Kind kind() const { return kind_; }
  bool ofCharacters() const { return ofCharacters_; }
  uint32_t vocabSize() const { return vocabSize_; }
  const Sections& sections() const { return sections_; }
  // What the source says besides vocabulary and merges.
  std::string_view document() const { return document_; }

  // Empty for an id without a token.
  std::span<const uint8_t> bytesOf(uint32_t id) const {
    return {blob_ + offsets_[id], offsets_[id + 1] - offsets_[id]};
  }
  // Offsets of all ids in blob(); kPadding more than blob() may be read.
  const uint32_t* offsets() const { return offsets_; }
  const uint8_t* blob() const { return blob_; }

  // How many tokens text can become. All that follows is by their numbers.
  uint32_t tokens() const { return tokens_; }
  uint32_t idOf(uint32_t token) const { return ids_[token] & kNoToken; }
  // Of characters: whether it is one that is in no other token, so that nothing merges with it.
  bool isAlone(uint32_t token) const { return (ids_[token] & kAlone) != 0; }

  // The token of one byte, or kNoToken: some vocabularies lack bytes.
  uint32_t byteToken(uint8_t byte) const { return byteTokens_[byte]; }
  bool hasAllBytes() const { return hasAllBytes_; }
  // The token of the character at p, of `bytes` bytes, or kNoToken.
  uint32_t characterToken(const uint8_t* p, size_t bytes) const {
    return bytes == 1 ? byteTokens_[*p] : find(p, bytes);
  }
  const Summary& summary() const { return *reinterpret_cast<const Summary*>(sections_[kSummary].data()); }
  // Whether every byte of UTF-8 can be written by one of Summary::fallbackIds.
  bool hasFallback() const;
  // Whether a merge names that token as a part.
  bool isMerged(uint32_t token) const;

  TrieSlot childOf(uint32_t children, uint8_t byte) const { return trie_[children + byte]; }

  struct Match {
    uint32_t token;
    uint32_t bytes;
  };

  // Calls `each` for the tokens at p of at most `limit` bytes, the shortest first.
  template <typename Each>
  void eachAt(const uint8_t* p, size_t limit, Each each) const {
    uint32_t children = kRootChildren;
    for (uint32_t i = 0; i < limit; ++i) {
      const TrieSlot node = childOf(children, p[i]);
      if (node.byteAndToken >> 24 != p[i]) break;
      const uint32_t token = node.byteAndToken & kNoToken;
      if (token != kNoToken) each(Match{token, i + 1});
      children = node.children;
    }
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

  // The priority with which two tokens, the left of `leftBytes`, become `merged`, of `bytes`; or kNever.
  uint32_t priorityOf(uint32_t merged, size_t leftBytes, size_t bytes) const {
    if (kind_ != kMerges) return priorities_[merged];
    if (bytes > kMaxLeft) return priorityOfLong(merged, leftBytes);
    for (uint32_t at = mergeOffsets_[merged]; at < mergeOffsets_[merged + 1]; ++at) {
      if (merges_[at].leftBytes == leftBytes) return merges_[at].priority;
    }
    return kNever;
  }

 private:
  uint32_t priorityOfLong(uint32_t merged, size_t leftBytes) const;

  std::shared_ptr<const void> owner_;
  Sections sections_;
  Kind kind_;
  uint32_t vocabSize_, tokens_;
  bool ofCharacters_, hasAllBytes_;
  const uint32_t* offsets_;
  const uint8_t* blob_;
  const uint32_t* ids_;
  const uint32_t* byteTokens_;
  const TrieSlot* trie_;
  const uint32_t* priorities_;  // of tokens, where it is theirs and not that of a way to them
  const uint32_t* mergeOffsets_;
  const Merge* merges_;
  std::string_view document_;
};

// Bytes of the section kMergeOffsets.
inline size_t mergeOffsetsBytes(Tables::Kind kind, size_t tokens) {
  if (kind == Tables::kRanks) return 0;
  return (kind == Tables::kMerges ? tokens + 1 : tokens) * sizeof(uint32_t);
}

}  // namespace quipu::tokenizer

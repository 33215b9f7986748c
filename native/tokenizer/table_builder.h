// Makes the tables of a vocabulary: tokens first, then merges, then finish().
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/free.h"
#include "tokenizer/hash.h"
#include "tokenizer/tables.h"
#include "tokenizer/trie_builder.h"

namespace quipu::tokenizer {

class TableBuilder {
 public:
  // For tokens of at most `bytes` together. May throw std::bad_alloc, as do all of its functions.
  TableBuilder(Tables::Kind kind, size_t bytes, Unit unit = Unit::kByte);

  // Where the bytes of the next token are to be written, and the end of the room for them.
  uint8_t* next() { return blob_.get() + used_; }
  const uint8_t* full() const { return blob_.get() + capacity_; }

  // What was written from next() to `end` is a token. `encodes`: text can become it, which is not so for what
  // vocabularies list of tokens that are found before text is cut.
  void add(uint32_t id, const uint8_t* end, bool encodes);

  size_t tokens() const { return tokens_.size(); }
  uint32_t idOf(size_t index) const { return tokens_[index].id; }

  // After the last add(). Ids and bytes must differ: else the index of the token that is there twice, by id or by
  // bytes. The trie is begun on a thread of its own.
  struct Duplicate {
    size_t index;
    bool sameId;
  };
  static constexpr size_t kNone = ~static_cast<size_t>(0);
  Duplicate indexTokens();

  // Looks up tokens by their bytes, after indexTokens(): prefetch() each of some, then find() them, so that they wait
  // for memory together. kPadding more than the bytes may be read.
  static constexpr uint32_t kNoIndex = 0xffffffff;
  struct Query {
    const uint8_t* bytes = nullptr;
    size_t size = 0;
    uint64_t hash = 0;
    uint32_t index = kNoIndex;
  };
  Query prefetch(const uint8_t* bytes, size_t size) const;
  void find(std::span<Query> queries) const;
  // Whether the token with that index, if there is one, has these bytes.
  bool isToken(size_t index, const uint8_t* bytes, size_t size) const;

  // The next in the list of merges: the first `leftBytes` of a token, by index, and the rest. Of the same pair the last
  // counts, as in tokenizers.
  void addMerge(size_t leftBytes, uint32_t merged) { merges_.push_back({static_cast<uint32_t>(leftBytes), merged}); }
  void reserveMerges(size_t count) { merges_.reserve(count); }

  // Of scores: the priority with which two tokens become each, by index.
  void setPriorities(std::vector<uint32_t> priorities) { priorities_ = std::move(priorities); }

  // Of characters: the id that stands for a byte, or those of the tokens named <0x00> to <0xFF>, after indexTokens().
  void setFallback(uint8_t byte, uint32_t id) { fallbackIds_[byte] = id; }
  void findFallback();
  // A merge names that token.
  void notePart(const Query& token);

  Status finish(std::string_view document, std::shared_ptr<Tables>& out);

 private:
  // Rows of an open-addressing table, whose size is a power of two. Zeros are an empty row.
  struct TokenSlot {
    uint32_t tag;     // upper half of the hash
    uint32_t number;  // index + 1
  };
  struct Token {
    uint32_t id;
    uint32_t start;
    uint32_t bytes;
    bool encodes;
  };
  struct ListedMerge {
    uint32_t leftBytes, merged;
  };
  struct Trie {
    std::vector<TrieEntry> sorted;
    std::vector<TrieSlot> slots;
  };

  Trie makeTrie() const;
  // Of the list of ways to a token.
  uint32_t wordsOf(uint32_t index) const { return tokens_[index].bytes > kMaxLeft ? 2 : 1; }
  // Notes in the ids of `tables` which tokens are characters that are in no other.
  void noteAlone(const Tables& tables, uint32_t* ids) const;
  void fillMerges(std::span<const TrieEntry> sorted, uint32_t* offsets, Merge* list) const;

  Tables::Kind kind_;
  Unit unit_;
  uint32_t fallbackIds_[256];
  bool mergesFallback_ = false;
  Freed<uint8_t> blob_;
  size_t capacity_, used_ = 0;
  std::vector<Token> tokens_;
  std::vector<TokenSlot> slots_;
  std::vector<uint32_t> tokenOfId_;  // index + 1
  std::vector<ListedMerge> merges_;
  std::vector<uint32_t> priorities_;
  std::future<Trie> trie_;  // last: it reads the others until it is done
};

}  // namespace quipu::tokenizer

// Makes the tables of a vocabulary: tokens first, then merges, then finish().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "tokenizer/hash.h"
#include "tokenizer/tables.h"
#include "tokenizer/trie_builder.h"

namespace quipu::tokenizer {

class TableBuilder {
 public:
  explicit TableBuilder(Tables::Kind kind) : kind_(kind) {}

  // Where the bytes of the next token are to be appended; add() then takes what was appended.
  std::vector<uint8_t>& bytes() { return blob_; }
  size_t pendingBytes() const { return blob_.size() - added_; }

  // The bytes appended since the last call are a token. `encodes`: text can become it, which is not so for what
  // vocabularies list of tokens that are found before text is cut.
  void add(uint32_t id, bool encodes);

  size_t tokens() const { return tokens_.size(); }
  uint32_t idOf(size_t index) const { return tokens_[index].id; }

  // After the last add(). Ids and bytes must differ: else the index of the token that is there twice, by id or by
  // bytes.
  struct Duplicate {
    size_t index;
    bool sameId;
  };
  static constexpr size_t kNone = ~static_cast<size_t>(0);
  Duplicate indexTokens();

  // Looks up many tokens by their bytes, after indexTokens(): `token` becomes the id or kNoToken. kPadding more than
  // the bytes may be read. Together they wait for memory once, not each for itself.
  struct Query {
    const uint8_t* bytes;
    size_t size;
    uint32_t token = kNoToken;
    uint64_t hash = 0;
  };
  void find(std::span<Query> queries) const;

  // The next in the list of merges: the first `leftBytes` of the token with the id `merged`, and the rest. Of the same
  // pair the last counts, as in tokenizers.
  void addMerge(uint32_t leftBytes, uint32_t merged) { merges_.push_back({leftBytes, merged}); }

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

  std::vector<TrieEntry> entries() const;
  uint32_t wordsOf(const ListedMerge& merge) const;
  void fillMerges(std::span<const TrieEntry> sorted, uint32_t* offsets, Merge* list) const;

  Tables::Kind kind_;
  std::vector<uint8_t> blob_;
  size_t added_ = 0;
  std::vector<Token> tokens_;
  std::vector<TokenSlot> slots_;
  std::vector<uint32_t> tokenOfId_;  // index + 1
  std::vector<ListedMerge> merges_;
};

}  // namespace quipu::tokenizer

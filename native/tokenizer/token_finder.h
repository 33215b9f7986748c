// Finds the texts of a list in a text: leftmost-longest, not overlapping; in time linear in the text, whatever the
// list. A trie with failure links (Aho and Corasick), and beside each link what has
// been found in the part of the text that it leaves behind, so that nothing is read twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace quipu::tokenizer {

class TokenFinder {
 public:
  // Texts that are not empty, sorted, each with the number that it is found by; of equal ones the first counts.
  explicit TokenFinder(const std::vector<std::pair<std::string_view, uint32_t>>& texts = {});

  bool isEmpty() const { return nodes_.size() == 1; }

  struct Found {
    size_t start, end;
    uint32_t token;
    bool open;  // more text could make it another, longer token, or a token at all
  };

  // One scan of text[from, bytes), which the finder outlives. Where the text goes on, what is open comes last.
  class Scan {
   public:
    Scan(const TokenFinder& finder, const uint8_t* text, size_t from, size_t bytes, bool goesOn)
        : finder_(finder), text_(text), at_(from), bytes_(bytes), goesOn_(goesOn) {}
    bool next(Found& found);

   private:
    struct Part {
      uint32_t node;
      size_t start;
    };

    bool skip();
    void fail();

    const TokenFinder& finder_;
    const uint8_t* const text_;
    size_t at_;
    const size_t bytes_;
    const bool goesOn_;
    uint32_t node_ = kRoot;     // of what ends at at_
    std::vector<Part> behind_;  // that nothing can change any more: the last comes first in the text
  };

 private:
  static constexpr uint32_t kRoot = 0, kNone = 0xffffffff;

  // A node is the beginning of a text. Nodes are in the order of their depths, the children of one beside each other.
  struct Node {
    uint32_t depth;
    uint32_t children = 0;   // the first
    uint16_t count = 0;      // of children
    uint8_t byte = 0;        // that leads here
    uint32_t token = kNone;  // the longest text that it begins with, and its bytes
    uint32_t tokenBytes = 0;
    // Where no child fits: what remains open behind that text, or behind the first byte if there is none, and what is
    // found in between.
    uint32_t failure = kRoot;
    uint32_t between = kNone;  // the last, in links_
  };
  struct Link {
    uint32_t node, start, before;
  };

  uint32_t childOf(uint32_t node, uint8_t byte) const;
  void setFailure(Node& node, const Node& parent);

  std::vector<Node> nodes_;
  std::vector<Link> links_;
  uint32_t first_[256] = {};  // the root's children, by their byte
  int only_ = -1;             // that byte where there is one only, as in most vocabularies
};

}  // namespace quipu::tokenizer

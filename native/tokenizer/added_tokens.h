// Added tokens: texts that are one id wherever they stand, found before anything is cut into pieces. They are found as
// tokenizers finds them: those that are not `normalized` in the whole text, then the others in what is left; the
// leftmost match, of several the longest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace quipu::tokenizer {

struct AddedToken {
  uint32_t id;
  std::string text;
  bool special = false;     // a control token: found only where the caller allows it
  bool stripLeft = false;   // white space before it belongs to it
  bool stripRight = false;  // white space after it belongs to it
  bool singleWord = false;  // not beside a character of a word
  bool normalized = false;
};

// A part of a text: plain text, or an added token, as an index into the list.
struct Segment {
  static constexpr uint32_t kText = 0xffffffff;
  size_t start, end;
  uint32_t token;
};

// Classes of the character before a text that goes on: for tokens of the first pass, and for the others, to which an
// added token is the beginning of the text.
struct Before {
  uint8_t raw = 0, normalized = 0;
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  const std::vector<AddedToken>& list() const { return tokens_; }

  // Calls `each` for the parts of text[0, bytes), valid UTF-8, in order. `allowed` has a byte for each token: those
  // with 0 are plain text, though nothing else is looked for inside them.
  using Each = std::function<void(const Segment&)>;
  void split(const uint8_t* text, size_t bytes, const std::vector<uint8_t>& allowed, const Each& each,
             Before before = {}) const;

  // Where the last part of text[0, bytes) begins that more text could turn into an added token: text before it stays as
  // it is cut. `bytes` where there is none.
  size_t unfinished(const uint8_t* text, size_t bytes, const std::vector<uint8_t>& allowed) const;

 private:
  // The tokens of one pass, sorted by their texts.
  struct Pass {
    std::vector<uint32_t> sorted;
    bool first[256] = {};  // bytes that texts begin with
    int only = -1;         // that byte where there is one only, as in most vocabularies
  };
  struct Found {
    size_t start, end;
    uint32_t token;
  };

  bool next(const Pass& pass, const uint8_t* text, size_t from, size_t to, Found& found) const;
  void splitPass(const Pass& pass, const uint8_t* text, size_t from, size_t to, uint8_t classesBefore,
                 const std::vector<uint8_t>& allowed, const Each& each) const;

  std::vector<AddedToken> tokens_;
  Pass raw_, normalized_;
  size_t longest_ = 0;
};

}  // namespace quipu::tokenizer

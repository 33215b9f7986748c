// Added tokens: texts that are one id wherever they stand, found before anything is cut into pieces. They are found as
// tokenizers finds them, in two passes: those that are not `normalized` in the whole text; the others, normalized
// themselves, in what is left, when that is normalized. In each pass the leftmost match counts, of several the longest.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/function_ref.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/token_finder.h"

namespace quipu::tokenizer {

struct AddedToken {
  uint32_t id;
  std::string text;
  bool special = false;     // a control token: found only where the caller allows it
  bool stripLeft = false;   // white space before it belongs to it
  bool stripRight = false;  // white space after it belongs to it
  bool singleWord = false;  // not beside a character of a word
  bool normalized = false;
  std::optional<std::string> sought = {};  // of those: what is found in normalized text; default `text`, normalized
};

// A part of a text: plain text, or an added token, as an index into the list.
struct Segment {
  static constexpr uint32_t kText = 0xffffffff;
  static constexpr uint32_t kOpenText = 0xfffffffe;  // text at the end of what is there, that more may follow
  size_t start, end;
  uint32_t token;
};

class AddedTokens {
 public:
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer);

  const std::vector<AddedToken>& list() const { return tokens_; }

  enum Pass { kRaw, kNormalized };
  bool isEmpty(Pass pass) const { return finders_[pass].isEmpty(); }

  // What a pass goes through: text[0, bytes), valid UTF-8.
  struct Scan {
    const uint8_t* text;
    size_t bytes;
    bool goesOn = false;  // more text may follow
    uint8_t before = 0;   // classes of the character before it; 0 where it begins there
    size_t from = 0;      // where tokens may begin: what is before has been looked at
  };
  // Calls `each` for the parts of the text, in order; of text that goes on, as far as more cannot change them.
  // `allowed` has a byte for each token: those with 0 are plain text, though nothing else is looked for inside them.
  // Returns where the next scan of text that goes on may find tokens.
  using Each = FunctionRef<void(const Segment&)>;
  size_t split(Pass pass, const Scan& scan, std::span<const uint8_t> allowed, Each each) const;

 private:
  std::vector<AddedToken> tokens_;
  TokenFinder finders_[2];              // of each pass
  std::vector<uint32_t> stripLeft_[2];  // likewise
};

}  // namespace quipu::tokenizer

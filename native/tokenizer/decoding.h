// Ids to text where tokens are text (the decoders of tokenizer.json with Replace, ByteFallback, Fuse, Strip or
// Metaspace): the mark of words becomes a space, <0x00> to <0xFF> become bytes, and what was put before the text goes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/growing_buffer.h"

namespace quipu::tokenizer {

class Decoding {
 public:
  struct Steps {
    std::vector<std::pair<std::string, std::string>> replacements;  // in each token, one after the other
    bool bytes = false;                                             // tokens <0x00> to <0xFF> are bytes
    bool keepsValid = false;                                        // those that are UTF-8, where others beside are not
    std::string stripped;                                           // a character,
    uint32_t strips = 0;                                            // as many of which go at the start of the text
    std::string droppedInFirst;  // a character that goes wherever it is in the first token,
    bool onlyPrefix = false;     // or only where that begins with it, once;
    bool untilText = false;      // and, as long as that leaves no text, in the next, too
  };

  explicit Decoding(Steps steps) : steps_(std::move(steps)) {}

  // The next id's token, in their order; empty for an id that is none.
  void add(std::span<const uint8_t> token);

  // Its bytes in a text, or at its beginning.
  std::span<const uint8_t> bytesOf(uint32_t id) const;
  std::string firstBytesOf(uint32_t id) const;
  // Whether there is a token: of text, which may be none.
  bool isThere(uint32_t id) const { return tokens_[id].isThere; }

  // Appends text: begin(), each id, end(). `lossy`: bytes that are no UTF-8 become U+FFFD, one for each byte, as in
  // SentencePiece; without `keepsValid` for each of the run of tokens that they are of, as in tokenizers.
  class Text {
   public:
    Text(const Decoding& decoding, bool lossy, GrowingBuffer<uint8_t>& out)
        : decoding_(decoding), out_(out), lossy_(lossy) {}
    void add(uint32_t id);
    void end();

   private:
    static constexpr size_t kNone = ~static_cast<size_t>(0);
    void endRun();

    const Decoding& decoding_;
    GrowingBuffer<uint8_t>& out_;
    bool lossy_, isFirst_ = true;
    size_t run_ = kNone;  // where the bytes of the last tokens begin
  };

 private:
  std::string inText(std::string_view token) const;

  struct Token {
    uint32_t start, bytes;  // of what it is in a text
    bool isByte, isThere;
  };

  Steps steps_;
  std::vector<uint8_t> blob_;
  std::vector<Token> tokens_;
  std::vector<std::pair<uint32_t, std::string>> firsts_;  // sorted by id: what tokens are at the beginning, if other
};

}  // namespace quipu::tokenizer

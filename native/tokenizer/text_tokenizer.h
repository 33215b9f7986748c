// A whole tokenizer: added tokens, pretokenizer, byte-pair encoding and the way back. Immutable but for a pool of
// encoders, so that threads share it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/encoder.h"
#include "tokenizer/growing_buffer.h"

namespace quipu::tokenizer {

struct EncodeOptions {
  Before before;                      // what the text goes on from
  std::vector<uint8_t> allowed;       // a byte for each added token
  bool refusesOthers = false;         // text of a token that is not allowed is an error
  std::optional<uint32_t> beginning;  // an id before everything
};

// Bytes that may be read kPadding beyond their end.
struct Text {
  const uint8_t* data;
  size_t bytes;
  bool isUtf8 = false;  // known to be valid
};

class TextTokenizer {
 public:
  // No pattern: texts are cut by the caller (encodePieces).
  TextTokenizer(std::shared_ptr<const Tables> tables, std::optional<Pattern> pattern, bool wholePieces,
                std::vector<AddedToken> added);

  const Tables& tables() const { return *tables_; }
  const AddedTokens& added() const { return added_; }
  std::optional<Pattern> pattern() const { return pattern_; }
  uint32_t vocabSize() const { return vocabSize_; }

  // An encoder from the pool. It remembers what it met, so a thread keeps one for all of its texts.
  class Lease {
   public:
    explicit Lease(const TextTokenizer& tokenizer);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Encoder& operator*() { return *encoder_; }

   private:
    const TextTokenizer& tokenizer_;
    std::unique_ptr<Encoder> encoder_;
  };

  // Ids of any bytes. What is not valid UTF-8 is encoded as tiktoken does: text up to its last piece as text, the rest
  // as one piece. May throw std::bad_alloc, as do the others.
  Status encode(Text text, const EncodeOptions& options, Lease& encoder, IdSink& out) const;
  Status encode(Text text, const EncodeOptions& options, IdSink& out) const {
    Lease encoder(*this);
    return encode(text, options, encoder, out);
  }

  // The segments of valid UTF-8, for callers that cut text.
  Status segments(Text text, const EncodeOptions& options, const AddedTokens::Each& each) const;
  // Pieces of `text` that end at `ends`.
  Status encodePieces(Text text, std::span<const int32_t> ends, IdSink& out) const;

  // Encodes what more text cannot change of text[0, bytes), valid UTF-8: returns where that ends, and leaves in the
  // options what the rest goes on from.
  size_t encodeFinished(Text text, EncodeOptions& options, IdSink& out, Status& status) const;

  // ERR_USAGE for an id outside the vocabulary.
  Status decode(std::span<const int32_t> ids, bool special, GrowingBuffer<uint8_t>& out) const;
  std::span<const uint8_t> bytesOf(uint32_t id) const;

 private:
  Status refuse(Text text) const;
  void encodeInvalid(Text text, size_t valid, const EncodeOptions& options, Encoder& encoder, IdSink& out) const;
  // Its pieces that begin before `stop`.
  void encodeSegment(Encoder& encoder, Text text, const Segment& segment, size_t stop, IdSink& out) const;
  size_t finishedIn(const uint8_t* text, size_t start, size_t end) const;

  std::shared_ptr<const Tables> tables_;
  std::optional<Pattern> pattern_;
  bool wholePieces_;
  AddedTokens added_;
  uint32_t vocabSize_;
  std::vector<uint8_t> special_;      // a byte for each id
  std::vector<uint32_t> shortBytes_;  // likewise: where its bytes are in the tables << 8 | how many; see kNotShort
  std::vector<uint32_t> addedOfId_;   // index + 1 of the added token of an id
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Encoder>> idle_;
};

}  // namespace quipu::tokenizer

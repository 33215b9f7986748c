// Ids of a text that comes in parts, the same as of the whole: what more text could change is held back.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "tokenizer/text_tokenizer.h"

namespace quipu::tokenizer {

class StreamEncoder {
 public:
  StreamEncoder(std::shared_ptr<const TextTokenizer> tokenizer, EncodeOptions options)
      : tokenizer_(std::move(tokenizer)), options_(std::move(options)), normalization_(tokenizer_->normalizer()) {}

  // Parts may end anywhere, also inside a character. From bytes that are not UTF-8 on, all is held until the end, as it
  // is one piece (TextTokenizer::encode).
  Status push(const uint8_t* part, size_t bytes, IdSink& out);
  Status end(IdSink& out);

  // On any thread: what is under way, or comes, ends with kAborted.
  void cancel() { cancelled_ = true; }

  size_t heldBytes() const { return size_ + normalization_.heldBytes() + normalized_.size(); }

 private:
  Status advance(bool goesOn, IdSink& out);
  size_t take(const TextTokenizer::Stretch& stretch, Encoder& encoder, IdSink& out, Status& status);

  std::shared_ptr<const TextTokenizer> tokenizer_;
  EncodeOptions options_;
  Progress progress_;
  std::vector<uint8_t> held_;  // kPadding longer than what it holds
  size_t size_ = 0;
  size_t valid_ = 0;    // of the held bytes, how many are known to be UTF-8
  size_t retryAt_ = 0;  // bytes to hold before it is worth looking again
  Normalizer::Stretch normalization_;
  // What is normalized of the stretch that goes on, and not encoded yet.
  GrowingBuffer<uint8_t> normalized_;
  size_t normalizedRetryAt_ = 0;
  std::atomic<bool> cancelled_{false};
};

}  // namespace quipu::tokenizer

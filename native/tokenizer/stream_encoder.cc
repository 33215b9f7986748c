#include "tokenizer/stream_encoder.h"

#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

// A held piece longer than this is looked at again when it has doubled: else a long one in many parts would take time
// by the square of its length.
constexpr size_t kLongPiece = 1 << 16;
constexpr size_t kLongestCharacter = 4;

}  // namespace

Status StreamEncoder::push(const uint8_t* part, size_t bytes, IdSink& out) {
  if (options_.beginning) out.push(*options_.beginning);
  options_.beginning.reset();
  held_.resize(size_ + bytes + kPadding);
  if (bytes > 0) memcpy(held_.data() + size_, part, bytes);
  size_ += bytes;
  valid_ += validUtf8(held_.data() + valid_, size_ - valid_);
  if (size_ < retryAt_ || size_ - valid_ >= kLongestCharacter) return {};
  Status status;
  const size_t done = tokenizer_->encodeFinished({held_.data(), valid_}, options_, out, status);
  held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(done));
  size_ -= done;
  valid_ -= done;
  retryAt_ = size_ > kLongPiece ? 2 * size_ : 0;
  return status;
}

Status StreamEncoder::end(IdSink& out) {
  held_.resize(size_ + kPadding);
  Status status = tokenizer_->encode({held_.data(), size_}, options_, out);
  options_.beginning.reset();
  size_ = valid_ = retryAt_ = 0;
  return status;
}

}  // namespace quipu::tokenizer

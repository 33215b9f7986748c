#include "tokenizer/stream_encoder.h"

#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

constexpr size_t kLongestCharacter = 4;

Status aborted() { return Status::error(ErrorCode::kAborted, "encoding was aborted"); }

size_t retryAt(size_t held) { return held > kLongPiece ? 2 * held : 0; }

}  // namespace

Status StreamEncoder::push(const uint8_t* part, size_t bytes, IdSink& out) {
  if (options_.beginning) out.push(*options_.beginning);
  options_.beginning.reset();
  held_.resize(size_ + bytes + kPadding);
  if (bytes > 0) memcpy(held_.data() + size_, part, bytes);
  size_ += bytes;
  valid_ += validUtf8(held_.data() + valid_, size_ - valid_);
  if (size_ < retryAt_ || size_ - valid_ >= kLongestCharacter) return {};
  Status status = advance(true, out);
  retryAt_ = retryAt(size_);
  return status;
}

Status StreamEncoder::end(IdSink& out) {
  held_.resize(size_ + kPadding);
  if (valid_ == size_) {
    if (options_.beginning) out.push(*options_.beginning);
    options_.beginning.reset();
    return advance(false, out);
  }
  TextTokenizer::Lease encoder(*tokenizer_, &cancelled_);
  Status status = tokenizer_->encode({held_.data(), size_}, options_, progress_, *encoder, out);
  return cancelled_ ? aborted() : status;
}

Status StreamEncoder::advance(bool goesOn, IdSink& out) {
  TextTokenizer::Lease encoder(*tokenizer_, &cancelled_);
  const AddedTokens& added = tokenizer_->added();
  const uint8_t* const text = held_.data();
  auto& [raw, normalized, bytesBefore, begun] = progress_;
  Status status;
  size_t done = 0;
  const auto each = [&](const Segment& segment) {
    if (!status.ok()) return;
    if (segment.token >= Segment::kOpenText) {
      const bool open = segment.token == Segment::kOpenText;
      const uint64_t place = bytesBefore + segment.start;
      done =
          segment.start + take({text + segment.start, segment.end - segment.start, open, place}, *encoder, out, status);
      return;
    }
    (void)take({nullptr, 0, false, {}}, *encoder, out, status);  // the stretch before it ends
    if (status.ok()) status = tokenizer_->check(segment.token, options_, bytesBefore + segment.start);
    if (status.ok()) out.push(added.list()[segment.token].id);
    begun = true;
    done = segment.end;
  };
  const size_t from = added.split(AddedTokens::kRaw, {text, valid_, goesOn, raw.before, raw.from},
                                  tokenizer_->soughtBy(options_), each);
  if (!goesOn && status.ok()) (void)take({nullptr, 0, false, {}}, *encoder, out, status);
  if (done > 0) raw.before = characterAt(text + characterBefore(text, done)).classes;
  raw.from = from > done ? from - done : 0;
  bytesBefore += done;
  held_.erase(held_.begin(), held_.begin() + static_cast<ptrdiff_t>(done));
  size_ -= done;
  valid_ -= done;
  return cancelled_ ? aborted() : status;
}

// Encodes text of a stretch between tokens, as far as more cannot change it; returns how much of it need not be held.
size_t StreamEncoder::take(const TextTokenizer::Stretch& stretch, Encoder& encoder, IdSink& out, Status& status) {
  const Normalizer& normalizer = tokenizer_->normalizer();
  if (normalizer.isIdentity()) return tokenizer_->encodeStretch(stretch, options_, progress_, encoder, out, status);
  const auto& [text, bytes, goesOn, place] = stretch;
  const size_t whole = normalization_.push(text, bytes, goesOn, normalized_);
  if (goesOn && normalized_.size() < normalizedRetryAt_) return whole;
  const auto held = normalized_.contents();
  normalized_.drop(
      tokenizer_->encodeStretch({held.data(), held.size(), goesOn, {}}, options_, progress_, encoder, out, status));
  normalizedRetryAt_ = retryAt(normalized_.size());
  return whole;
}

}  // namespace quipu::tokenizer

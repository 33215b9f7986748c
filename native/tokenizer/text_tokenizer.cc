#include "tokenizer/text_tokenizer.h"

#include <algorithm>
#include <cstring>

#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

// Most tokens are short, and kPadding more may be read behind those of the tables: they are copied without a loop. The
// others, and those that the tables do not tell the text of, have this in the place of their length.
constexpr uint32_t kNotShort = 0xff;

}  // namespace

TextTokenizer::Lease::Lease(const TextTokenizer& tokenizer) : tokenizer_(tokenizer) {
  {
    const std::lock_guard lock(tokenizer.mutex_);
    if (!tokenizer.idle_.empty()) {
      encoder_ = std::move(tokenizer.idle_.back());
      tokenizer.idle_.pop_back();
    }
  }
  if (encoder_ == nullptr) encoder_ = std::make_unique<Encoder>(tokenizer.tables_, tokenizer.wholePieces_);
}

TextTokenizer::Lease::~Lease() {
  const std::lock_guard lock(tokenizer_.mutex_);
  tokenizer_.idle_.push_back(std::move(encoder_));
}

TextTokenizer::TextTokenizer(std::shared_ptr<const Tables> tables, std::optional<Pattern> pattern, bool wholePieces,
                             std::vector<AddedToken> added)
    : tables_(std::move(tables)),
      pattern_(pattern),
      wholePieces_(wholePieces),
      added_(std::move(added)),
      vocabSize_(tables_->vocabSize()) {
  for (const AddedToken& token : added_.list()) vocabSize_ = std::max(vocabSize_, token.id + 1);
  special_.resize(vocabSize_);
  addedOfId_.resize(vocabSize_);
  shortBytes_.assign(vocabSize_, kNotShort);
  const uint32_t* offsets = tables_->offsets();
  for (uint32_t id = 0; id < tables_->vocabSize(); ++id) {
    const uint32_t size = offsets[id + 1] - offsets[id];
    if (size <= kPadding && offsets[id] < 1 << 24) shortBytes_[id] = offsets[id] << 8 | size;
  }
  for (uint32_t i = 0; i < added_.list().size(); ++i) {
    const AddedToken& token = added_.list()[i];
    addedOfId_[token.id] = i + 1;
    special_[token.id] = token.special;
    shortBytes_[token.id] = kNotShort;
  }
}

std::span<const uint8_t> TextTokenizer::bytesOf(uint32_t id) const {
  if (addedOfId_[id] != 0) {
    const std::string& text = added_.list()[addedOfId_[id] - 1].text;
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }
  return id < tables_->vocabSize() ? tables_->bytesOf(id) : std::span<const uint8_t>();
}

Status TextTokenizer::refuse(Text text) const {
  Status status;
  const std::vector<uint8_t> all(added_.list().size(), 1);
  added_.split(text.data, text.bytes, all, [&](const Segment& segment) {
    if (segment.token == Segment::kText || !added_.list()[segment.token].special || !status.ok()) return;
    status = Status::error(ErrorCode::kUsage, "the text has the special token " + added_.list()[segment.token].text +
                                                  " at byte " + std::to_string(segment.start) +
                                                  ": allow it, or encode it as plain text (special: false)");
  });
  return status;
}

Status TextTokenizer::segments(Text text, const EncodeOptions& options, const AddedTokens::Each& each) const {
  if (options.refusesOthers) {
    if (Status status = refuse(text); !status.ok()) return status;
  }
  added_.split(text.data, text.bytes, options.allowed, each);
  return {};
}

void TextTokenizer::encodeSegment(Encoder& encoder, Text text, const Segment& segment, size_t stop, IdSink& out) const {
  if (segment.token != Segment::kText) return out.push(added_.list()[segment.token].id);
  const uint8_t* start = text.data + segment.start;
  encoder.encode(*pattern_, {start, text.data + stop, text.data + segment.end}, out);
}

Status TextTokenizer::encode(Text text, const EncodeOptions& options, Lease& encoder, IdSink& out) const {
  if (!pattern_) return Status::error(ErrorCode::kInternal, "text of an unknown pattern must come in pieces");
  const size_t valid = text.isUtf8 ? text.bytes : validUtf8(text.data, text.bytes);
  if (options.refusesOthers) {
    if (Status status = refuse({text.data, valid}); !status.ok()) return status;
  }
  if (options.beginning) out.push(*options.beginning);
  if (valid < text.bytes) {
    encodeInvalid(text, valid, options, *encoder, out);
    return {};
  }
  added_.split(
      text.data, text.bytes, options.allowed,
      [&](const Segment& segment) { encodeSegment(*encoder, text, segment, segment.end, out); }, options.before);
  return {};
}

// openai/tiktoken, src/lib.rs, _encode_bytes: the last piece of the valid text is joined with what follows. If its
// first token is white space, so are those of white space before it.
void TextTokenizer::encodeInvalid(Text text, size_t valid, const EncodeOptions& options, Encoder& encoder,
                                  IdSink& out) const {
  size_t last = valid;  // where the last piece begins
  IdSink ids(true), piece(true);
  added_.split(
      text.data, valid, options.allowed,
      [&](const Segment& segment) {
        size_t stop = segment.end;
        if (segment.token == Segment::kText && segment.end == valid) {
          for (size_t at = segment.start; at < valid; at = pieceEnd(*pattern_, text.data, at, valid)) last = stop = at;
        }
        encodeSegment(encoder, text, segment, stop, ids);
      },
      options.before);
  size_t joined = valid - last, kept = ids.ids().size();
  if (joined > 0) {
    encoder.encodePiece(text.data + last, joined, piece);
    const auto isSpace = [&](uint32_t id) {
      const auto bytes = bytesOf(id);
      return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == ' ' || b == '\n' || b == '\t'; });
    };
    if (piece.count() > 0 && isSpace(piece.ids()[0])) {
      while (kept > 0 && isSpace(ids.ids()[kept - 1])) joined += bytesOf(ids.ids()[--kept]).size();
    }
  }
  for (const uint32_t id : ids.ids().first(kept)) out.push(id);
  const size_t start = valid - joined;
  encoder.encodePiece(text.data + start, text.bytes - start, out);
}

Status TextTokenizer::encodePieces(Text text, std::span<const int32_t> ends, IdSink& out) const {
  Lease encoder(*this);
  size_t at = 0;
  for (const int32_t end : ends) {
    if (end < 0 || static_cast<size_t>(end) < at || static_cast<size_t>(end) > text.bytes) {
      return Status::error(ErrorCode::kInternal, "pieces out of order");
    }
    const auto bytes = static_cast<size_t>(end) - at;
    (*encoder).encodePiece(text.data + at, bytes, out);
    at = static_cast<size_t>(end);
  }
  return {};
}

// Where the last piece of text[start, end) ends that does not depend on what follows `end`. A piece depends on the run
// of white space or of letters and marks after it and a little more (an apostrophe and two letters).
size_t TextTokenizer::finishedIn(const uint8_t* text, size_t start, size_t end) const {
  constexpr size_t kMore = 8;
  size_t finished = start;
  for (size_t at = start; at < end;) {
    at = pieceEnd(*pattern_, text, at, end);
    size_t after = at;
    if (after < end) {
      const uint8_t run = (characterAt(text + after).classes & kSpace) ? kSpace : kLetter | kMark;
      while (after < end && (characterAt(text + after).classes & run)) after += characterAt(text + after).bytes;
    }
    if (after + kMore > end) break;
    finished = at;
  }
  return finished;
}

size_t TextTokenizer::encodeFinished(Text text, EncodeOptions& options, IdSink& out, Status& status) const {
  const size_t limit = added_.unfinished(text.data, text.bytes, options.allowed);
  if (options.refusesOthers) {
    status = refuse(text);
    if (!status.ok()) return 0;
  }
  Lease encoder(*this);
  size_t done = 0;
  bool open = true, afterToken = false;
  const auto each = [&](const Segment& segment) {
    open = open && segment.start < limit;
    if (!open) return;
    const bool isText = segment.token == Segment::kText;
    open = !isText || segment.end < limit;
    const size_t stop = open ? segment.end : finishedIn(text.data, segment.start, std::min(segment.end, limit));
    if (stop == segment.start) return;
    encodeSegment(*encoder, text, segment, stop, out);
    done = stop;
    afterToken = !isText;
  };
  added_.split(text.data, text.bytes, options.allowed, each, options.before);
  if (done > 0) {
    const uint8_t classes = characterAt(text.data + characterBefore(text.data, done)).classes;
    options.before = {classes, afterToken ? uint8_t{0} : classes};
  }
  return done;
}

Status TextTokenizer::decode(std::span<const int32_t> ids, bool special, GrowingBuffer<uint8_t>& out) const {
  constexpr size_t kTogether = 256;
  const uint8_t* blob = tables_->blob();
  while (!ids.empty()) {
    const auto some = ids.first(std::min(ids.size(), kTogether));
    ids = ids.subspan(some.size());
    uint8_t *to = out.room(some.size() * kPadding), *start = to;
    for (const int32_t signedId : some) {
      const auto id = static_cast<uint32_t>(signedId);
      if (id >= vocabSize_) {
        return Status::error(ErrorCode::kUsage, "ids: expected ids from 0 to " + std::to_string(vocabSize_ - 1) +
                                                    ", got " + std::to_string(signedId));
      }
      const uint32_t place = shortBytes_[id];
      if ((place & 0xff) != kNotShort) {
        memcpy(to, blob + (place >> 8), kPadding);
        to += place & 0xff;
        continue;
      }
      if (special_[id] && !special) continue;
      const auto bytes = bytesOf(id);
      out.advance(static_cast<size_t>(to - start));
      start = to = out.room(bytes.size() + kTogether * kPadding);
      if (!bytes.empty()) memcpy(to, bytes.data(), bytes.size());
      to += bytes.size();
    }
    out.advance(static_cast<size_t>(to - start));
  }
  return {};
}

}  // namespace quipu::tokenizer

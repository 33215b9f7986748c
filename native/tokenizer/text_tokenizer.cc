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

TextTokenizer::Lease::Lease(const TextTokenizer& tokenizer, const std::atomic<bool>* stop) : tokenizer_(tokenizer) {
  {
    const std::lock_guard lock(tokenizer.mutex_);
    if (!tokenizer.idle_.empty()) {
      encoder_ = std::move(tokenizer.idle_.back());
      tokenizer.idle_.pop_back();
    }
  }
  if (encoder_ == nullptr) {
    encoder_ = std::make_unique<Encoder>(tokenizer.tables_, tokenizer.encoding_);
    const std::lock_guard lock(tokenizer.mutex_);
    tokenizer.idle_.reserve(++tokenizer.encoders_);  // so that giving it back takes no memory
  }
  encoder_->stopBy(stop);
}

TextTokenizer::Lease::~Lease() {
  const std::lock_guard lock(tokenizer_.mutex_);
  tokenizer_.idle_.push_back(std::move(encoder_));
}

TextTokenizer::TextTokenizer(std::shared_ptr<const Tables> tables, TextTokenizerParts parts)
    : tables_(std::move(tables)),
      pattern_(parts.pattern),
      prepends_(parts.prepends),
      hasSpaces_(parts.marks && parts.marks->spaces),
      encoding_(parts.encoding),
      normalizer_(std::move(parts.normalizer)),
      added_(std::move(parts.added), normalizer_),
      all_(added_.list().size(), 1),
      vocabSize_(tables_->vocabSize()) {
  for (const AddedToken& token : added_.list()) vocabSize_ = std::max(vocabSize_, token.id + 1);
  shortBytes_.assign(vocabSize_, kNotShort);
  const uint32_t* offsets = tables_->offsets();
  for (uint32_t id = 0; id < tables_->vocabSize(); ++id) {
    const uint32_t size = offsets[id + 1] - offsets[id];
    if (size <= kPadding && offsets[id] < 1 << 24) shortBytes_[id] = offsets[id] << 8 | size;
  }
  if (parts.marks) {
    MarkCuts::Options& marks = *parts.marks;
    const auto* const mark = reinterpret_cast<const uint8_t*>(marks.mark.data());
    const Unknown& unknown = encoding_.unknown;
    // What is left out is no longer beside the mark, nor is it between what it was between; unknown characters in a row
    // may be one, of which the mark is one; and a token that is all of a piece must be looked for in all of it.
    const bool leavesOut = !unknown.id && !(unknown.asBytes && tables_->hasFallback());
    marks.never = !marks.everywhere &&
                  (encoding_.wholePieces || leavesOut || tables_->characterToken(mark, marks.mark.size()) == kNoToken);
    marks_.emplace(*tables_, marks);
  }
  addedOfId_.reserve(added_.list().size());
  for (const AddedToken& token : added_.list()) {
    addedOfId_[token.id] = &token;
    shortBytes_[token.id] = kNotShort;
  }
  if (parts.decoding) {
    Decoding decoding(std::move(*parts.decoding));
    for (uint32_t id = 0; id < vocabSize_; ++id) decoding.add(bytesOf(id));
    decoding_ = std::move(decoding);
  }
}

std::string TextTokenizer::firstBytesOf(uint32_t id) const {
  if (decoding_) return decoding_->firstBytesOf(id);
  const auto bytes = bytesOf(id);
  return {bytes.begin(), bytes.end()};
}

std::span<const uint8_t> TextTokenizer::bytesOf(uint32_t id) const {
  if (decoding_) return decoding_->bytesOf(id);
  if (const auto added = addedOfId_.find(id); added != addedOfId_.end()) {
    const std::string& text = added->second->text;
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }
  return id < tables_->vocabSize() ? tables_->bytesOf(id) : std::span<const uint8_t>();
}

Status TextTokenizer::check(uint32_t token, const EncodeOptions& options, std::optional<uint64_t> place) const {
  if (!options.refusesOthers || options.allowed[token]) return {};
  return Status::error(ErrorCode::kUsage, "the text has the special token " + added_.list()[token].text +
                                              (place ? " at byte " + std::to_string(*place) : "") +
                                              ": allow it, or encode it as plain text (special: false)");
}

Status TextTokenizer::parts(Text text, const EncodeOptions& options, const Progress& progress, EachPart each,
                            Passes passes) const {
  Status status;
  GrowingBuffer<uint8_t> normalized;
  Normalizer::Stretch normalization(normalizer_);
  const auto sought = soughtBy(options);
  const auto take = [&](const uint8_t* of, const Segment& part, std::optional<uint64_t> place) {
    if (status.ok() && part.token != Segment::kText) status = check(part.token, options, place);
    if (status.ok()) each(of, part);
  };
  const bool isAsIs = normalizer_.isIdentity();
  const auto stretch = [&](const Segment& segment) {
    const bool isWhole = passes == Passes::kRaw || (isAsIs && added_.isEmpty(AddedTokens::kNormalized));
    if (isWhole) return take(text.data, segment, std::nullopt);
    const Passed passed = segment.start == 0 ? progress.normalized : Passed{};
    const uint8_t* start = text.data + segment.start;
    size_t bytes = segment.end - segment.start;
    if (!isAsIs) {
      normalized.clear();
      normalization.push(start, bytes, false, normalized);
      start = normalized.contents().data(), bytes = normalized.size();
    }
    added_.split(AddedTokens::kNormalized, {start, bytes, false, passed.before, passed.from}, sought,
                 [&](const Segment& part) {
                   const uint64_t place = progress.bytes + segment.start + part.start;
                   take(start, part, isAsIs && passes == Passes::kBoth ? std::optional(place) : std::nullopt);
                 });
  };
  if (passes == Passes::kNormalized) {
    if (text.bytes > 0) stretch({0, text.bytes, Segment::kText});
    return status;
  }
  added_.split(AddedTokens::kRaw, {text.data, text.bytes, false, progress.raw.before, progress.raw.from}, sought,
               [&](const Segment& segment) {
                 if (segment.token == Segment::kText) return stretch(segment);
                 take(text.data, segment, progress.bytes + segment.start);
               });
  return status;
}

void TextTokenizer::encodeSegment(Encoder& encoder, const uint8_t* text, const Segment& segment, size_t stop,
                                  Place place, IdSink& out) const {
  if (segment.token < Segment::kOpenText) return out.push(added_.list()[segment.token].id);
  const Encoder::Range range{text + segment.start, text + stop, text + segment.end};
  if (pattern_) return encoder.encode(*pattern_, range, out);
  if (!hasSpaces_) return encoder.encode(*marks_, range, out);
  const bool prepends = prepends_ == Prepends::kEveryText || (prepends_ == Prepends::kBeginning && place.beginsText);
  encoder.encodeSpaced(*marks_, range, prepends && !place.goesOn, out);
}

Status TextTokenizer::encode(Text text, const EncodeOptions& options, const Progress& progress, Encoder& encoder,
                             IdSink& out) const {
  if (!cutsText()) return Status::error(ErrorCode::kInternal, "text of an unknown pattern must come in pieces");
  const size_t valid = text.isUtf8 ? text.bytes : validUtf8(text.data, text.bytes);
  if (options.beginning) out.push(*options.beginning);
  if (valid < text.bytes) return encodeInvalid(text, valid, options, progress, encoder, out);
  const auto sought = soughtBy(options);
  const bool isPlain = sought.empty() || memchr(sought.data(), 1, sought.size()) == nullptr;
  if (isPlain && normalizer_.isIdentity()) {  // most texts: short ones would feel the rest
    encodeSegment(encoder, text.data, {0, text.bytes, Segment::kText}, text.bytes, {!progress.begun}, out);
    return {};
  }
  bool begun = progress.begun;
  return parts(text, options, progress, [&](const uint8_t* of, const Segment& part) {
    encodeSegment(encoder, of, part, part.end, {!begun}, out);
    begun = true;
  });
}

// openai/tiktoken, src/lib.rs, _encode_bytes: the last piece of the valid text is joined with what follows. If its
// first token is white space, so are those of white space before it.
Status TextTokenizer::encodeInvalid(Text text, size_t valid, const EncodeOptions& options, const Progress& progress,
                                    Encoder& encoder, IdSink& out) const {
  if (!normalizer_.isIdentity() || !pattern_) {
    const char* const why = pattern_ ? ": this tokenizer normalizes its text, and can only take text"
                                     : ": the tokens of this tokenizer are text, and it can only take text";
    return Status::error(ErrorCode::kUsage, "not valid UTF-8 at byte " + std::to_string(progress.bytes + valid) + why);
  }
  size_t last = valid;  // where the last piece begins
  size_t tokens = 0;    // how many ids go up to the last added token
  IdSink ids(true), piece(true);
  const Status status = parts({text.data, valid}, options, progress, [&](const uint8_t* of, const Segment& part) {
    const auto start = static_cast<size_t>(of - text.data);  // of the stretch that the part is of
    size_t stop = part.end;
    if (part.token == Segment::kText && start + part.end == valid) {
      for (size_t at = part.start; at < part.end; at = pieceEnd(*pattern_, of, at, part.end)) stop = at;
      last = start + stop;
    }
    encodeSegment(encoder, of, part, stop, {false}, ids);
    if (part.token != Segment::kText) tokens = ids.count();
  });
  if (!status.ok()) return status;
  size_t joined = valid - last, kept = ids.ids().size();
  if (joined > 0) {
    encoder.encodePiece(text.data + last, joined, piece);
    const auto isSpace = [&](uint32_t id) {
      const auto bytes = bytesOf(id);
      return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == ' ' || b == '\n' || b == '\t'; });
    };
    if (piece.count() > 0 && isSpace(piece.ids()[0])) {
      while (kept > tokens && isSpace(ids.ids()[kept - 1])) joined += bytesOf(ids.ids()[--kept]).size();
    }
  }
  for (const uint32_t id : ids.ids().first(kept)) out.push(id);
  const size_t start = valid - joined;
  encoder.encodePiece(text.data + start, text.bytes - start, out);
  return {};
}

Status TextTokenizer::encodePieces(Text text, std::span<const int32_t> ends, IdSink& out) const {
  Lease encoder(*this);
  size_t at = 0;
  for (const int32_t end : ends) {
    if (end < 0 || static_cast<size_t>(end) < at || static_cast<size_t>(end) > text.bytes) {
      return Status::error(ErrorCode::kInternal, "pieces out of order");
    }
    const auto bytes = static_cast<size_t>(end) - at;
    if (tables_->ofCharacters() && validUtf8(text.data + at, bytes) < bytes) {
      return Status::error(ErrorCode::kInternal, "a piece that is cut within a character");
    }
    (*encoder).encodePiece(text.data + at, bytes, out);
    at = static_cast<size_t>(end);
  }
  return {};
}

// Where the last piece of text[start, end) ends that does not depend on what follows `end`. A piece depends on the run
// of white space or of letters and marks after it and a little more (an apostrophe and two letters).
size_t TextTokenizer::finishedIn(const uint8_t* text, size_t start, size_t end) const {
  if (marks_) return static_cast<size_t>(marks_->lastCut(text + start, text + end) - text);
  constexpr size_t kMore = 8;
  size_t finished = start;
  size_t runEnd = start;  // of the run that was met last: pieces may end at every letter of it
  for (size_t at = start; at < end;) {
    at = pieceEnd(*pattern_, text, at, end);
    if (at >= runEnd) {
      runEnd = at;
      const uint8_t run = at < end && (characterAt(text + at).classes & kSpace) ? kSpace : kLetter | kMark;
      while (runEnd < end && (characterAt(text + runEnd).classes & run)) runEnd += characterAt(text + runEnd).bytes;
    }
    if (runEnd + kMore > end) break;
    finished = at;
  }
  return finished;
}

size_t TextTokenizer::encodeStretch(const Stretch& stretch, const EncodeOptions& options, Progress& progress,
                                    Encoder& encoder, IdSink& out, Status& status) const {
  const auto& [text, bytes, goesOn, place] = stretch;
  Passed& passed = progress.normalized;
  size_t done = 0;
  const auto take = [&](const Segment& part) {
    if (status.ok() && part.token < Segment::kOpenText) {
      status = check(part.token, options, place ? std::optional(*place + part.start) : std::nullopt);
    }
    if (!status.ok()) return;
    const bool open = part.token == Segment::kOpenText;
    const size_t stop = open ? finishedIn(text, part.start, part.end) : part.end;
    if (stop > part.start) {
      const bool continues = part.start == 0 && passed.inText;
      encodeSegment(encoder, text, part, stop, {!progress.begun, continues}, out);
      progress.begun = true;
      passed.inText = open;
    }
    done = stop;
  };
  const size_t from = added_.split(AddedTokens::kNormalized, {text, bytes, goesOn, passed.before, passed.from},
                                   soughtBy(options), take);
  if (!goesOn) {
    passed = {};
    return done;
  }
  if (done > 0) passed.before = characterAt(text + characterBefore(text, done)).classes;
  passed.from = from > done ? from - done : 0;
  return done;
}

Status TextTokenizer::outside(int32_t id) const {
  return Status::error(ErrorCode::kUsage,
                       "ids: expected ids from 0 to " + std::to_string(vocabSize_ - 1) + ", got " + std::to_string(id));
}

bool TextTokenizer::isLeftOut(uint32_t id, bool special) const {
  const auto added = addedOfId_.find(id);
  return added != addedOfId_.end() && added->second->special && !special;
}

Status TextTokenizer::decode(std::span<const int32_t> ids, bool special, bool lossy,
                             GrowingBuffer<uint8_t>& out) const {
  if (decoding_) {
    Decoding::Text text(*decoding_, lossy, out);
    for (const int32_t id : ids) {
      if (static_cast<uint32_t>(id) >= vocabSize_) return outside(id);
      if (!isLeftOut(static_cast<uint32_t>(id), special)) text.add(static_cast<uint32_t>(id));
    }
    text.end();
    return {};
  }
  constexpr size_t kTogether = 256;
  // Known here, as the bytes that are written could be those of this object.
  const uint8_t* const blob = tables_->blob();
  const uint32_t *const places = shortBytes_.data(), vocabSize = vocabSize_;
  while (!ids.empty()) {
    const auto some = ids.first(std::min(ids.size(), kTogether));
    ids = ids.subspan(some.size());
    uint8_t *to = out.room(some.size() * kPadding), *start = to;
    for (const int32_t signedId : some) {
      const auto id = static_cast<uint32_t>(signedId);
      if (id >= vocabSize) return outside(signedId);
      const uint32_t place = places[id];
      if ((place & 0xff) != kNotShort) {
        memcpy(to, blob + (place >> 8), kPadding);
        to += place & 0xff;
        continue;
      }
      if (isLeftOut(id, special)) continue;
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

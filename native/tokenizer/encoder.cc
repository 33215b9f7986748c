#include "tokenizer/encoder.h"

#include <algorithm>
#include <iterator>

#include "tokenizer/split_patterns.h"

namespace quipu::tokenizer {

namespace {

constexpr uint32_t kIdBits = 24;

}  // namespace

Encoder::Encoder(std::shared_ptr<const Tables> tables, bool wholePieces)
    : tables_(std::move(tables)),
      wholePieces_(wholePieces),
      bpe_(*tables_),
      cache_(kCached),
      cacheOfLong_(kCachedLong) {}

void Encoder::encode(Pattern pattern, const Range& range, IdSink& out) {
  switch (pattern) {
    case Pattern::kLlama3:
      return encodeBy<Pattern::kLlama3>(range, out);
    case Pattern::kCl100k:
      return encodeBy<Pattern::kCl100k>(range, out);
    case Pattern::kO200k:
      return encodeBy<Pattern::kO200k>(range, out);
    case Pattern::kGpt2:
      return encodeBy<Pattern::kGpt2>(range, out);
    case Pattern::kGpt2Digits:
      return encodeBy<Pattern::kGpt2Digits>(range, out);
  }
}

template <Pattern P>
void Encoder::encodeBy(const Range& range, IdSink& sink) {
  const auto [start, stop, end] = range;
  const uint8_t* text = start;
  while (text < stop) {
    // As many short pieces as there is room for, then one of any length.
    uint32_t* const room = sink.room(1024);
    uint32_t *out = room, *const full = room + 1024 - kShort;
    const uint8_t* after = text;
    while (text < stop && out < full) {
      after = pieceOf<P>(text, end);
      const auto bytes = static_cast<size_t>(after - text);
      if (bytes > kShort) break;
      out = encodeShort(text, bytes, out);
      text = after;
    }
    sink.advance(static_cast<size_t>(out - room));
    if (after != text) {
      const auto bytes = static_cast<size_t>(after - text);
      uint32_t* const at = sink.room(bytes);
      sink.advance(static_cast<size_t>(encodeLong(text, bytes, at) - at));
      text = after;
    }
  }
}

void Encoder::encodePiece(const uint8_t* piece, size_t bytes, IdSink& sink) {
  if (bytes == 0) return;
  uint32_t* const room = sink.room(bytes + kCachedIds);
  uint32_t* const end = bytes <= kShort ? encodeShort(piece, bytes, room) : encodeLong(piece, bytes, room);
  sink.advance(static_cast<size_t>(end - room));
}

// Writes up to kShort ids, and may write kCachedIds at `out` in any case.
inline uint32_t* Encoder::encodeShort(const uint8_t* piece, size_t bytes, uint32_t* out) {
  const Key key = shortKey(piece, bytes);
  CachedPiece& cached = cache_[hashOf(key) & (kCached - 1)];
  if (cached.key == key) {
    memcpy(out, cached.ids, sizeof cached.ids);
    out[0] &= (1u << kIdBits) - 1;
    return out + (cached.ids[0] >> kIdBits);
  }
  uint32_t* const end = encodeUncached(piece, bytes, out);
  const auto count = static_cast<uint32_t>(end - out);
  if (count >= 1 && count <= kCachedIds) {
    cached.key = key;
    memcpy(cached.ids, out, count * sizeof(uint32_t));
    cached.ids[0] |= count << kIdBits;
  }
  return end;
}

uint32_t* Encoder::encodeLong(const uint8_t* piece, size_t bytes, uint32_t* out) {
  if (bytes > kLong) return encodeUncached(piece, bytes, out);
  const uint64_t hash = hashLong(piece, bytes);
  CachedLongPiece& cached = cacheOfLong_[hash & (kCachedLong - 1)];
  if (cached.hash == hash && cached.size == bytes && memcmp(cached.bytes, piece, bytes) == 0) {
    memcpy(out, cached.ids, cached.count * sizeof(uint32_t));
    return out + cached.count;
  }
  uint32_t* const end = encodeUncached(piece, bytes, out);
  const auto count = static_cast<size_t>(end - out);
  if (count <= kLongIds) {
    cached.hash = hash;
    cached.size = static_cast<uint8_t>(bytes);
    cached.count = static_cast<uint8_t>(count);
    memcpy(cached.bytes, piece, bytes);
    memcpy(cached.ids, out, count * sizeof(uint32_t));
  }
  return end;
}

uint32_t* Encoder::encodeUncached(const uint8_t* piece, size_t bytes, uint32_t* out) {
  const auto isKnown = [&](uint8_t byte) { return tables_->byteToken(byte) != kNoToken; };
  if (tables_->hasAllBytes() || std::all_of(piece, piece + bytes, isKnown)) {
    return out + bpe_.encode(piece, bytes, wholePieces_, out);
  }
  // Bytes that the vocabulary lacks are left out, as tokenizers does (SmolLM2 lacks 21 that text rarely has).
  kept_.clear();
  std::copy_if(piece, piece + bytes, std::back_inserter(kept_), isKnown);
  return kept_.empty() ? out : out + bpe_.encode(kept_.data(), kept_.size(), false, out);
}

}  // namespace quipu::tokenizer

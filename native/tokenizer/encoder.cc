#include "tokenizer/encoder.h"

#include <algorithm>
#include <iterator>
#include <new>

#include "tokenizer/split_patterns.h"

namespace quipu::tokenizer {

namespace {

constexpr uint32_t kIdBits = 24, kId = (1u << kIdBits) - 1;

template <typename T>
Freed<T> zeroed(size_t count) {
  Freed<T> memory(static_cast<T*>(calloc(count, sizeof(T))));
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// The first place for a T at p or behind it.
template <typename T>
T* aligned(uint8_t* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return reinterpret_cast<T*>(p + (-address & (alignof(T) - 1)));
}

}  // namespace

Encoder::Encoder(std::shared_ptr<const Tables> tables, const EncoderOptions& options)
    : tables_(std::move(tables)),
      options_(options),
      bpe_(*tables_),
      cacheMemory_(zeroed<uint8_t>(kCacheBytes + alignof(Cached))),
      cache_(aligned<Cached>(cacheMemory_.get())),
      cacheOfLong_(reinterpret_cast<CachedLongPiece*>(cache_ + kCached)) {}

void Encoder::encode(Pattern pattern, const Range& range, IdSink& out) {
  // A function of its own type for each, so that it is inlined.
  withPattern(pattern, [&]<Pattern P>() {
    encodeBy([](const uint8_t* start, const uint8_t* end) { return pieceOf<P>(start, end); }, range, out);
  });
}

void Encoder::encode(const MarkCuts& cuts, const Range& range, IdSink& out) {
  encodeBy([&cuts](const uint8_t* start, const uint8_t* end) { return cuts.pieceEnd(start, end); }, range, out);
}

// In parts, so that little of the text is there twice.
void Encoder::encodeSpaced(const MarkCuts& cuts, const Range& range, bool prepends, IdSink& out) {
  constexpr ptrdiff_t kTogether = 1 << 16;
  const std::string& mark = cuts.mark();
  const uint8_t* part = range.start;
  if (prepends && part < range.stop) {
    const auto left = static_cast<size_t>(range.stop - part);
    prepends = *part != ' ' && (left < mark.size() || memcmp(part, mark.data(), mark.size()) != 0);
  }
  while (part < range.stop) {
    const uint8_t* const end =
        range.stop - part > kTogether ? cuts.pieceEnd(part + kTogether - 1, range.stop) : range.stop;
    spaced_.clear();
    uint8_t* to = spaced_.room(static_cast<size_t>(end - part) * mark.size() + mark.size() + kPadding);
    const uint8_t* const start = to;
    const auto put = [&] { to = std::copy(mark.begin(), mark.end(), to); };
    if (prepends) put();
    prepends = false;
    for (; part < end; ++part) {
      if (*part == ' ') {
        put();
      } else {
        *to++ = *part;
      }
    }
    encode(cuts, {start, to, to}, out);
  }
}

template <typename PieceEnd>
void Encoder::encodeBy(PieceEnd pieceEnd, const Range& range, IdSink& sink) {
  // Pieces are cut some at a time: the memory that may know the first comes while the others are cut.
  constexpr size_t kTogether = 32;
  const uint8_t *text = range.start, *starts[kTogether + 1];
  Key keys[kTogether];
  Cached* places[kTogether];
  while (text < range.stop) {
    size_t count = 0;
    starts[0] = text;
    do {
      const uint8_t* const after = pieceEnd(text, range.end);
      const auto bytes = static_cast<size_t>(after - text);
      keys[count] = keyOf(text, bytes);
      places[count] = &placeOf(keys[count]);
      __builtin_prefetch(places[count]);
      starts[++count] = text = after;
    } while (text < range.stop && count < kTogether);
    uint32_t* const room = sink.room(static_cast<size_t>(text - starts[0]) + kCachedIds);
    uint32_t* out = room;
    for (size_t i = 0; i < count; ++i) {
      const auto bytes = static_cast<size_t>(starts[i + 1] - starts[i]);
      out = encodeCut(keys[i], *places[i], starts[i], bytes, out);
    }
    sink.advance(static_cast<size_t>(out - room));
  }
}

void Encoder::encodePiece(const uint8_t* piece, size_t bytes, IdSink& sink) {
  if (bytes == 0) return;
  const Key key = keyOf(piece, bytes);
  uint32_t* const room = sink.room(bytes + kCachedIds);
  sink.advance(static_cast<size_t>(encodeCut(key, placeOf(key), piece, bytes, room) - room));
}

Key Encoder::keyOfLong(const uint8_t* piece, size_t bytes) const {
  if (bytes > kLong) return {~0ull, ~0ull};
  const uint64_t hash = hashLong(piece, bytes);
  const CachedLongPiece& place = cacheOfLong_[hash & (kCachedLong - 1)];
  __builtin_prefetch(&place);
  __builtin_prefetch(place.ids);
  return {hash, ~0ull};
}

// Writes up to `bytes` ids, and may write kCachedIds at `out` in any case.
inline uint32_t* Encoder::encodeCut(Key key, Cached& cached, const uint8_t* piece, size_t bytes, uint32_t* out) {
  if (cached.few[0].key == key) {
    const uint32_t first = cached.many.ids[0], count = first >> kIdBits;
    memcpy(out, cached.few[0].ids, sizeof cached.few[0].ids);
    out[0] = first & kId;
    if (count > kFewIds) memcpy(out, cached.many.ids, sizeof cached.many.ids), out[0] = first & kId;
    return out + count;
  }
  return bytes <= kShort ? encodeShort(key, cached, piece, bytes, out) : encodeLong(key.low, piece, bytes, out);
}

uint32_t* Encoder::encodeShort(Key key, Cached& cached, const uint8_t* piece, size_t bytes, uint32_t* out) {
  auto& [first, second] = cached.few;
  if (second.key == key) {
    std::swap(first, second);
    memcpy(out, first.ids, sizeof first.ids);
    out[0] &= kId;
    return out + (first.ids[0] >> kIdBits);
  }
  return encodeMissed(key, cached, piece, bytes, out);
}

uint32_t* Encoder::encodeMissed(Key key, Cached& cached, const uint8_t* piece, size_t bytes, uint32_t* out) {
  Cached& beside = cache_[static_cast<size_t>(&cached - cache_) ^ 1];
  const bool isFirst = beside.few[0].key == key;
  if (isFirst || beside.few[1].key == key) {
    const uint32_t *const ids = isFirst ? beside.many.ids : beside.few[1].ids, known = ids[0] >> kIdBits;
    memcpy(out, ids, known * sizeof(uint32_t));
    out[0] &= kId;
    // Nearer the next time: what repeats a piece that is here would take four times as long as prose.
    if (hasPieces(cached) && hasPieces(beside)) {
      std::swap(cached.few[1], beside.few[isFirst ? 0 : 1]);
    } else {
      std::swap(cached, beside);
    }
    return out + known;
  }
  uint32_t* const end = encodeUncached(piece, bytes, out);
  const auto count = static_cast<uint32_t>(end - out);
  if (count == 0 || count > kCachedIds) return end;
  keep(key, out, count, hasRoom(cached, count) || !hasRoom(beside, count) ? cached : beside);
  return end;
}

// Whether so many ids fit without another piece having to go.
bool Encoder::hasRoom(const Cached& cached, uint32_t count) {
  const auto& [first, second] = cached.few;
  return first.ids[0] >> kIdBits == 0 || (hasPieces(cached) && count <= kFewIds && second.key == Key{});
}

// Whether pieces of few ids are there, and none of many.
bool Encoder::hasPieces(const Cached& cached) {
  const uint32_t count = cached.many.ids[0] >> kIdBits;
  return count > 0 && count <= kFewIds;
}

void Encoder::keep(Key key, const uint32_t* ids, uint32_t count, Cached& cached) {
  auto& [first, second] = cached.few;
  const uint32_t before = first.ids[0] >> kIdBits;
  uint32_t* to = second.ids;
  if (count > kFewIds || before > kFewIds || before == 0) {
    second = {};  // what is left of its key behind so many ids is the key of another piece
    first.key = key;
    to = cached.many.ids;
  } else {
    second.key = key;
  }
  memcpy(to, ids, count * sizeof(uint32_t));
  to[0] |= count << kIdBits;
}

uint32_t* Encoder::encodeLong(uint64_t hash, const uint8_t* piece, size_t bytes, uint32_t* out) {
  if (bytes > kLong) return encodeUncached(piece, bytes, out);
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
  if (tables_->ofCharacters()) return encodeCharacters(piece, bytes, out);
  const auto isKnown = [&](uint8_t byte) { return tables_->byteToken(byte) != kNoToken; };
  if (tables_->hasAllBytes() || std::all_of(piece, piece + bytes, isKnown)) {
    return out + bpe_.encode(piece, bytes, options_.wholePieces, out);
  }
  // Bytes that the vocabulary lacks are left out, as tokenizers does (SmolLM2 lacks 21 that text rarely has).
  kept_.clear();
  std::copy_if(piece, piece + bytes, std::back_inserter(kept_), isKnown);
  return kept_.empty() ? out : out + bpe_.encode(kept_.data(), kept_.size(), false, out);
}

// tokenizers, models/bpe/model.rs, merge_word: characters that are tokens merge, also where what was between them is
// left out; what stands for others merges with nothing, nor does a character that is in no other token (most of Chinese
// in the vocabularies of Llama 2). An unknown one waits for the next that is known, behind bytes that come in between.
uint32_t* Encoder::encodeCharacters(const uint8_t* piece, size_t bytes, uint32_t* out) {
  if (options_.wholePieces) {
    if (const uint32_t token = tables_->find(piece, bytes); token != kNoToken) {
      *out = tables_->idOf(token);
      return out + 1;
    }
  }
  const Unknown& unknown = options_.unknown;
  const uint32_t* const fallback = tables_->summary().fallbackIds;
  bool waiting = false;
  kept_.clear();
  const auto endUnknown = [&] {
    if (waiting) *out++ = *unknown.id;
    waiting = false;
  };
  const auto merge = [&](const uint8_t* start, const uint8_t* end) {
    if (!kept_.empty()) {
      kept_.insert(kept_.end(), start, end);
      const size_t count = kept_.size();
      kept_.resize(count + kPadding);
      start = kept_.data(), end = start + count;
    }
    if (start == end) return;
    endUnknown();
    out += bpe_.encode(start, static_cast<size_t>(end - start), false, out);
    kept_.clear();
  };
  const uint8_t *p = piece, *known = piece, *const end = piece + bytes;
  while (p < end) {
    const size_t size = characterBytes(*p);
    const uint32_t token = tables_->characterToken(p, size);
    if (token != kNoToken) {
      if (tables_->isAlone(token)) {
        merge(known, p);
        endUnknown();
        *out++ = tables_->idOf(token);
        known = p + size;
      }
      p += size;
      continue;
    }
    const bool asBytes =
        unknown.asBytes && std::all_of(p, p + size, [&](uint8_t byte) { return fallback[byte] != kNoToken; });
    if (asBytes) {
      merge(known, p);
      for (size_t i = 0; i < size; ++i) *out++ = fallback[p[i]];
    } else if (unknown.id) {
      merge(known, p);
      if (waiting && !unknown.fused) *out++ = *unknown.id;
      waiting = true;
    } else {
      kept_.insert(kept_.end(), known, p);
    }
    known = p += size;
  }
  merge(known, end);
  endUnknown();
  return out;
}

}  // namespace quipu::tokenizer

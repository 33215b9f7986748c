// Text to ids, without the tokens that are found before text is cut (added_tokens.h). Most pieces are words seen
// before: a cache of short pieces answers those with one comparison, the tables answer what is one token, the
// rest is merged.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/free.h"
#include "tokenizer/bpe.h"
#include "tokenizer/growing_buffer.h"
#include "tokenizer/hash.h"
#include "tokenizer/id_sink.h"
#include "tokenizer/mark_cuts.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/tables.h"

namespace quipu::tokenizer {

// What becomes of a unit (byte or character) that is no token. Without either it is left out.
struct Unknown {
  bool asBytes = false;        // the ids of its bytes, where all of them have one (Summary::fallbackIds)
  std::optional<uint32_t> id;  // else this one,
  bool fused = false;          // which stands once for several in a row
};

// How a vocabulary encodes.
struct EncoderOptions {
  // A piece that is a token becomes it even if merging would not (tiktoken; ignore_merges in tokenizer.json).
  bool wholePieces = false;
  Unknown unknown;
};

// One for each thread, made for one vocabulary.
class Encoder {
 public:
  Encoder(std::shared_ptr<const Tables> tables, const EncoderOptions& options);

  // A long piece is abandoned when `stop` (null: never) becomes true.
  void stopBy(const std::atomic<bool>* stop) { bpe_.stopBy(stop); }

  // The pieces of text [start, end), valid UTF-8, that begin before `stop`, where one must begin. kPadding more may be
  // read, here and below.
  struct Range {
    const uint8_t *start, *stop, *end;
  };
  void encode(Pattern pattern, const Range& range, IdSink& out);
  void encode(const MarkCuts& cuts, const Range& range, IdSink& out);
  // The same of text with spaces, which become marks; `prepends`: one comes first where the text begins with none.
  void encodeSpaced(const MarkCuts& cuts, const Range& range, bool prepends, IdSink& out);

  // One piece, of any bytes.
  void encodePiece(const uint8_t* piece, size_t bytes, IdSink& out);

 private:
  // Text in many languages, or much text in one, has more than a hundred thousand words.
  static constexpr size_t kCached = 1 << 17;
  static constexpr size_t kFewIds = 4, kCachedIds = 12;

  // A piece of at most kShort bytes and its ids; the count is in the upper bits of the first.
  struct FewIds {
    Key key;
    uint32_t ids[kFewIds];
  };
  struct ManyIds {
    Key key;
    uint32_t ids[kCachedIds];
  };
  // What is known at a place, in one line of memory: two pieces of few ids each, the one that was asked for last first,
  // or one of many. Where there is no room for one, the line beside is asked. Where the second's key would be, that has
  // ids of 24 bits, which are no key, as those end with a length.
  union alignas(64) Cached {
    FewIds few[2];
    ManyIds many;
  };

  // A longer one: words of scripts that take two or three bytes a letter.
  static constexpr size_t kLong = 54, kLongIds = 16, kCachedLong = 1 << 16;
  struct alignas(64) CachedLongPiece {
    uint64_t hash;
    uint8_t size, count;
    uint8_t bytes[kLong];
    uint32_t ids[kLongIds];
  };

 public:
  // Bytes of the caches. They are zeroed lazily: pages take memory once they are touched.
  static constexpr size_t kCacheBytes = kCached * sizeof(Cached) + kCachedLong * sizeof(CachedLongPiece);

 private:
  // `pieceEnd(start, end)` is where the piece ends that begins at `start`.
  template <typename PieceEnd>
  void encodeBy(PieceEnd pieceEnd, const Range& range, IdSink& out);
  // Pieces too long for a key have one of no cached piece, with their hash.
  Key keyOf(const uint8_t* piece, size_t bytes) const {
    return bytes <= kShort ? shortKey(piece, bytes) : keyOfLong(piece, bytes);
  }
  // Begins to fetch what may be known of it. Out of line: prose, whose pieces are short, is 1 to 8 % slower with it
  // inside.
  __attribute__((noinline)) Key keyOfLong(const uint8_t* piece, size_t bytes) const;
  Cached& placeOf(Key key) { return cache_[hashOf(key) & (kCached - 1)]; }
  uint32_t* encodeCut(Key key, Cached& cached, const uint8_t* piece, size_t bytes, uint32_t* out);
  uint32_t* encodeUncached(const uint8_t* piece, size_t bytes, uint32_t* out);
  uint32_t* encodeCharacters(const uint8_t* piece, size_t bytes, uint32_t* out);
  uint32_t* encodeLong(uint64_t hash, const uint8_t* piece, size_t bytes, uint32_t* out);
  uint32_t* encodeShort(Key key, Cached& cached, const uint8_t* piece, size_t bytes, uint32_t* out);
  // What neither piece at its place is. Out of line: prose, whose pieces are known, is 5 to 8 % slower with it inside.
  __attribute__((noinline)) uint32_t* encodeMissed(Key key, Cached& cached, const uint8_t* piece, size_t bytes,
                                                   uint32_t* out);
  static bool hasRoom(const Cached& cached, uint32_t count);
  static bool hasPieces(const Cached& cached);
  static void keep(Key key, const uint32_t* ids, uint32_t count, Cached& cached);

  std::shared_ptr<const Tables> tables_;
  EncoderOptions options_;
  Bpe bpe_;
  // Lazily committed: short texts touch few of their pages.
  Freed<uint8_t> cacheMemory_;
  Cached* cache_;  // in it, aligned
  CachedLongPiece* cacheOfLong_;
  std::vector<uint8_t> kept_;  // a piece without the units that the vocabulary lacks
  GrowingBuffer<uint8_t> spaced_;
};

}  // namespace quipu::tokenizer

// A whole tokenizer: added tokens, normalizer, pretokenizer, byte-pair encoding and the way back. Immutable but for a
// pool of encoders, so that threads share it.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/decoding.h"
#include "tokenizer/encoder.h"
#include "tokenizer/growing_buffer.h"
#include "tokenizer/mark_cuts.h"
#include "tokenizer/normalizer.h"

namespace quipu::tokenizer {

struct EncodeOptions {
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

// Of a text in parts: what a pass over added tokens has to know of what came before (AddedTokens::Scan), and whether
// the text goes on that was there last.
struct Passed {
  uint8_t before = 0;
  size_t from = 0;
  bool inText = false;
};

// Where a text in parts has come to.
struct Progress {
  Passed raw, normalized;
  uint64_t bytes = 0;  // that came before
  bool begun = false;  // a token or text came before
};

// What a mark is put in front of, of text whose spaces become marks and that does not begin with one (tokenizers,
// pre_tokenizers/metaspace.rs).
enum class Prepends : uint8_t { kNothing, kBeginning, kEveryText };

struct TextTokenizerParts {
  std::optional<Pattern> pattern;          // how text is cut:
  std::optional<MarkCuts::Options> marks;  // in front of marks; neither: by the caller (encodePieces)
  Prepends prepends = Prepends::kNothing;
  EncoderOptions encoding;
  Normalizer normalizer;
  std::vector<AddedToken> added;
  std::optional<Decoding::Steps> decoding;  // nothing: text is the bytes of tokens
};

class TextTokenizer {
 public:
  TextTokenizer(std::shared_ptr<const Tables> tables, TextTokenizerParts parts);

  const Tables& tables() const { return *tables_; }
  const Normalizer& normalizer() const { return normalizer_; }
  const AddedTokens& added() const { return added_; }
  bool cutsText() const { return pattern_ || marks_; }
  uint32_t vocabSize() const { return vocabSize_; }

  // An encoder from the pool. It remembers what it met, so a thread keeps one for all of its texts.
  class Lease {
   public:
    // `stop`, while the lease lasts: once it is true, the encoder returns soon, with meaningless ids.
    explicit Lease(const TextTokenizer& tokenizer, const std::atomic<bool>* stop = nullptr);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Encoder& operator*() { return *encoder_; }

   private:
    const TextTokenizer& tokenizer_;
    std::unique_ptr<Encoder> encoder_;
  };

  // Ids of any bytes, of a text or of the end of one that has come to `progress`. What is not valid UTF-8 is encoded as
  // tiktoken does: text up to its last piece as text, the rest as one piece; with a normalizer, or where tokens are
  // text, it is ERR_USAGE. May throw std::bad_alloc, as do the others.
  Status encode(Text text, const EncodeOptions& options, const Progress& progress, Encoder& encoder, IdSink& out) const;
  Status encode(Text text, const EncodeOptions& options, IdSink& out) const {
    Lease encoder(*this);
    return encode(text, options, {}, *encoder, out);
  }

  // The parts of valid UTF-8, for callers that cut text: `each` gets what a part is of, the text or one that is
  // normalized, there as long as the call. Callers that normalize text themselves ask for the passes over added tokens
  // (AddedTokens::Pass) one by one: kRaw in a whole text, kNormalized in each part that is text, normalized.
  using EachPart = FunctionRef<void(const uint8_t* text, const Segment& part)>;
  enum class Passes : uint8_t { kBoth, kRaw, kNormalized };
  Status parts(Text text, const EncodeOptions& options, const Progress& progress, EachPart each,
               Passes passes = Passes::kBoth) const;
  // Pieces of `text` that end at `ends`.
  Status encodePieces(Text text, std::span<const int32_t> ends, IdSink& out) const;

  // Text between tokens of the first pass, normalized.
  struct Stretch {
    const uint8_t* text;
    size_t bytes;
    bool goesOn;                    // more text may follow: what that could change is left
    std::optional<uint64_t> place;  // of its beginning in the whole text, where that is not normalized
  };
  // Returns how much is encoded, from where `progress.normalized` then tells.
  size_t encodeStretch(const Stretch& stretch, const EncodeOptions& options, Progress& progress, Encoder& encoder,
                       IdSink& out, Status& status) const;

  // Which added tokens are looked for.
  std::span<const uint8_t> soughtBy(const EncodeOptions& options) const {
    return options.refusesOthers ? all_ : options.allowed;
  }
  // ERR_USAGE for a special token that the options refuse; `place` is where it is.
  Status check(uint32_t token, const EncodeOptions& options, std::optional<uint64_t> place) const;

  // Into an empty buffer; `lossy` as in Decoding. ERR_USAGE for an id outside the vocabulary.
  Status decode(std::span<const int32_t> ids, bool special, bool lossy, GrowingBuffer<uint8_t>& out) const;
  // Of an id in a text, or at its beginning.
  std::span<const uint8_t> bytesOf(uint32_t id) const;
  std::string firstBytesOf(uint32_t id) const;
  // Whether an id has a token.
  bool isThere(uint32_t id) const { return decoding_ ? decoding_->isThere(id) : !bytesOf(id).empty(); }

 private:
  Status encodeInvalid(Text text, size_t valid, const EncodeOptions& options, const Progress& progress,
                       Encoder& encoder, IdSink& out) const;
  // Encodes the pieces of a segment that begin before `stop`. `beginsText`: of the whole text, at its beginning;
  // `goesOn`: the beginning of the segment came before.
  struct Place {
    bool beginsText, goesOn = false;
  };
  void encodeSegment(Encoder& encoder, const uint8_t* text, const Segment& segment, size_t stop, Place place,
                     IdSink& out) const;
  size_t finishedIn(const uint8_t* text, size_t start, size_t end) const;
  Status outside(int32_t id) const;
  bool isLeftOut(uint32_t id, bool special) const;

  std::shared_ptr<const Tables> tables_;
  std::optional<Pattern> pattern_;
  std::optional<MarkCuts> marks_;
  Prepends prepends_;
  bool hasSpaces_;  // which become marks
  EncoderOptions encoding_;
  Normalizer normalizer_;
  AddedTokens added_;
  std::vector<uint8_t> all_;  // allows every added token
  uint32_t vocabSize_;
  std::optional<Decoding> decoding_;
  std::vector<uint32_t> shortBytes_;  // of each id: where its bytes are in the tables << 8 | how many; see kNotShort
  std::unordered_map<uint32_t, const AddedToken*> addedOfId_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Encoder>> idle_;
  mutable size_t encoders_ = 0;  // idle or leased
};

}  // namespace quipu::tokenizer

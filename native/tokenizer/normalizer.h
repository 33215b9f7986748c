// Normalizers of tokenizer.json: steps that rewrite text before tokens are looked for and pieces are cut, each stretch
// between tokens by itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/growing_buffer.h"
#include "tokenizer/normal_forms.h"

namespace quipu::tokenizer {

struct NormalizerStep {
  enum Kind : uint8_t {
    kForm,           // of `form`
    kReplace,        // each `from`, which is not empty, becomes `to`
    kPrepend,        // `to` comes first, unless there is nothing
    kStrip,          // without white space at the start (`left`), at the end (`right`)
    kLowercase,      // each character by itself
    kStripAccents,   // without marks
    kSqueezeSpaces,  // without spaces (U+0020) at the ends, one where there are several; at the end without `from`
                     // either
  };
  static constexpr uint8_t kKinds = 7;
  Kind kind;
  Form form = Form::kNfc;
  std::string from = {}, to = {};
  bool left = false, right = false;
  std::vector<uint32_t> borders = {};  // of kReplace: of each beginning of `from`, how much of it is also its end
};

class Normalizer {
 public:
  explicit Normalizer(std::vector<NormalizerStep> steps);

  // Whether text stays as it is.
  bool isIdentity() const { return steps_.empty(); }

  // A stretch that comes in parts.
  class Stretch {
   public:
    explicit Stretch(const Normalizer& normalizer) : steps_(normalizer.steps_), states_(steps_.size()) {}

    // Appends what of text[0, bytes), valid UTF-8, cannot change any more, normalized; of which kPadding more may be
    // read. `goesOn`: more of the stretch follows; else it ends, and another begins. Returns how much has been taken:
    // the rest is to be there again. Not of the identity. May throw std::bad_alloc.
    size_t push(const uint8_t* text, size_t bytes, bool goesOn, GrowingBuffer<uint8_t>& out);

    size_t heldBytes() const;

   private:
    size_t pushPart(const uint8_t* text, size_t bytes, bool goesOn, GrowingBuffer<uint8_t>& out);

    struct State {
      bool begun = false;           // something has been taken
      GrowingBuffer<uint8_t> held;  // of what the step before has made
      size_t retryAt = 0;           // bytes to hold before it is worth looking again
    };

    const std::vector<NormalizerStep>& steps_;
    std::vector<State> states_;
  };

  std::string apply(std::string_view text) const;

 private:
  std::vector<NormalizerStep> steps_;
};

// What is held longer than this is looked at again when it has doubled: else a long piece in many parts would take
// quadratic time.
constexpr size_t kLongPiece = 1 << 16;

}  // namespace quipu::tokenizer

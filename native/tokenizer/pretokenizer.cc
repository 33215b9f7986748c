#include "tokenizer/pretokenizer.h"

#include "tokenizer/split_patterns.h"

namespace quipu::tokenizer {

size_t pieceEnd(Pattern pattern, const uint8_t* text, size_t at, size_t end) {
  return withPattern(pattern,
                     [=]<Pattern P>() { return static_cast<size_t>(pieceOf<P>(text + at, text + end) - text); });
}

}  // namespace quipu::tokenizer

#include "tokenizer/pretokenizer.h"

#include "tokenizer/split_patterns.h"

namespace quipu::tokenizer {

namespace {

template <Pattern P>
size_t endOf(const uint8_t* text, size_t at, size_t end) {
  return static_cast<size_t>(pieceOf<P>(text + at, text + end) - text);
}

}  // namespace

size_t pieceEnd(Pattern pattern, const uint8_t* text, size_t at, size_t end) {
  switch (pattern) {
    case Pattern::kLlama3:
      return endOf<Pattern::kLlama3>(text, at, end);
    case Pattern::kCl100k:
      return endOf<Pattern::kCl100k>(text, at, end);
    case Pattern::kO200k:
      return endOf<Pattern::kO200k>(text, at, end);
    case Pattern::kGpt2:
      return endOf<Pattern::kGpt2>(text, at, end);
    case Pattern::kGpt2Digits:
      return endOf<Pattern::kGpt2Digits>(text, at, end);
  }
  return end;
}

}  // namespace quipu::tokenizer

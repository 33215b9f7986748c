// What a tokenizer is made of, as TypeScript gives it: lists of values, step after step.
#pragma once

#include "binding/arguments.h"
#include "tokenizer/text_tokenizer.h"

namespace quipu::binding {

// Arguments 1 to 7 of `new Tokenizer(vocabulary, pattern, wholePieces, normalizer, added, marks, unknown, decoding)`:
// `pattern` is -1 for none; `marks` and `decoding` may be nothing. `ofCharacters`: the vocabulary's tokens are text.
tokenizer::TextTokenizerParts tokenizerParts(const Arguments& arguments, bool ofCharacters);

// The steps of a list, which is argument number `index`.
tokenizer::Normalizer normalizerOf(const Arguments& arguments, size_t index, Napi::Array list);

}  // namespace quipu::binding

// The two large parts of Hugging Face's tokenizer.json, model.vocab and model.merges, read straight into tables. What
// is left of the document, with {} and [] in their places, goes to TypeScript, which checks and explains it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "tokenizer/tables.h"

namespace quipu::tokenizer {

// `document` is what is left, or the whole file where that is no JSON that this reader can follow: the parser of
// TypeScript then says what is wrong. `tables` is null without a model.vocab; `problem` says what is wrong in vocab or
// merges.
struct TokenizerJson {
  std::string document;
  std::string problem;
  std::shared_ptr<Tables> tables;
};

Status readTokenizerJson(std::string_view file, TokenizerJson& out);

}  // namespace quipu::tokenizer

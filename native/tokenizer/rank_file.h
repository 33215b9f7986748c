// Vocabularies as ranks: tiktoken's files, a line "base64 rank" for each token, and js-tiktoken's packaged tables,
// a line "! rank base64 base64 …" for tokens of consecutive ranks.
#pragma once

#include <memory>
#include <string_view>

#include "core/error.h"
#include "tokenizer/tables.h"

namespace quipu::tokenizer {

// Errors name the line. Every byte must be a token, or text could not be encoded.
Status readRankFile(std::string_view file, std::shared_ptr<Tables>& out);
Status readPackedRanks(std::string_view packed, std::shared_ptr<Tables>& out);

}  // namespace quipu::tokenizer

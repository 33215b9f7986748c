// Which tokens a tokenizer.json has: where its pre_tokenizer has a step ByteLevel, bytes written in an alphabet
// (byte_alphabet.h); else text.
#pragma once

#include <string_view>

#include "tokenizer/tables.h"

namespace quipu::tokenizer {

// Of JSON text; kByte where it is none that can be followed.
Unit unitOf(std::string_view file);

}  // namespace quipu::tokenizer

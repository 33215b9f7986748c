// What tokenizers' normalizers Lowercase and StripAccents do to characters (scripts/make-case-tables.py).
#pragma once

#include <cstdint>

namespace quipu::tokenizer {

// The lower case of one character by itself, whatever is beside it; U+0130 becomes two, i and the mark U+0307, of which
// this is the first.
uint32_t lowerCase(uint32_t code);

// Whether it is a mark (Mn, Mc, Me).
bool isAccent(uint32_t code);

}  // namespace quipu::tokenizer

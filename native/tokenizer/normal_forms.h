// Unicode's normalization forms (UAX #15), of Unicode 9.0 as in tokenizers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tokenizer/growing_buffer.h"

namespace quipu::tokenizer {

enum class Form : uint8_t { kNfc, kNfd, kNfkc, kNfkd };
constexpr uint8_t kForms = 4;

// Appends text[0, bytes), valid UTF-8, in that form. May throw std::bad_alloc.
void applyForm(Form form, const uint8_t* text, size_t bytes, GrowingBuffer<uint8_t>& out);

// The last place in text[0, bytes) where it can be cut: normalized by themselves, what is before it and what is behind
// it, whatever that goes on with, are together what the whole is. 0 where there is none.
size_t formBoundary(const uint8_t* text, size_t bytes);

}  // namespace quipu::tokenizer

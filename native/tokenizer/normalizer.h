// Normalizers of tokenizer.json: they rewrite text before tokens are looked for and pieces are cut, one stretch after
// the other; where stretches begin, a text that comes in parts can be cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/growing_buffer.h"

namespace quipu::tokenizer {

// Unicode's normalization forms (UAX #15), of Unicode 9.0 as in tokenizers.
enum class Form : uint8_t { kNfc, kNfd, kNfkc, kNfkd };
constexpr uint8_t kForms = 4;

class Normalizer {
 public:
  explicit Normalizer(std::optional<Form> form) : form_(form) {}

  // Whether text stays as it is.
  bool isIdentity() const { return !form_; }

  // Appends text[0, bytes), valid UTF-8, normalized; of which kPadding more may be read. Not of the identity. May throw
  // std::bad_alloc.
  void apply(const uint8_t* text, size_t bytes, GrowingBuffer<uint8_t>& out) const;
  std::string apply(std::string_view text) const;

  // The last place in text[0, bytes) where it can be cut: normalized by themselves, what is before it and what is
  // behind it, whatever that goes on with, are together what the whole is. 0 where there is none.
  size_t boundary(const uint8_t* text, size_t bytes) const;

 private:
  std::optional<Form> form_;
};

}  // namespace quipu::tokenizer

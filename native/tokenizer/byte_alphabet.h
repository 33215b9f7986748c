// GPT-2's byte-level alphabet (openai/gpt-2, encoder.py), in which tokenizer.json writes tokens: printable bytes are
// themselves, the others are moved to U+0100 and up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace quipu::tokenizer {

// Reads what is of the alphabet from the inside of a JSON string, text[at, …), and writes the bytes that it stands for
// at `to`, before `full`. Stops at the first character that is not of it, as quotes and spaces are not, at an escape
// other than those of " and \, or for want of room. What was read is valid UTF-8.
struct AlphabetText {
  size_t at;    // where it stopped
  uint8_t* to;  // after what was written
};
AlphabetText readAlphabet(std::string_view text, size_t at, uint8_t* to, const uint8_t* full);

// Writes the bytes that all of `text`, without escapes, stands for at `to`, where there is room for as many; returns
// the end, or null where a character is not of the alphabet.
uint8_t* writeAlphabet(std::string_view text, uint8_t* to);

}  // namespace quipu::tokenizer

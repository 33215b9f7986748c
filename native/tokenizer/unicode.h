// Characters of valid UTF-8 and the classes by which split patterns tell them apart (Unicode 16.0, see unicode.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace quipu::tokenizer {

// Classes of a character, as bits. One of these at most, and kWord; none is "anything else" (controls, private use,
// what is not assigned).
enum Class : uint8_t {
  kSpace = 1,         // White_Space, \s
  kNumber = 2,        // \p{N}
  kUpper = 4,         // \p{Lu} \p{Lt}
  kLower = 8,         // \p{Ll}
  kOtherLetter = 16,  // \p{Lm} \p{Lo}
  kMark = 32,         // \p{M}
  kSymbol = 64,       // \p{P} \p{S}
  kWord = 128,        // \w
  kLetter = kUpper | kLower | kOtherLetter,
};

struct ClassTable {
  uint8_t ascii[128];
  uint8_t blockOf[0x1100];    // of the code points c >> 8
  uint8_t classes[256][256];  // of each block
};

extern const ClassTable kClassTable;

inline uint8_t classOf(uint32_t c) { return kClassTable.classes[kClassTable.blockOf[c >> 8]][c & 0xff]; }

struct Character {
  uint8_t classes;
  uint8_t bytes;
};

// The character at p, which must begin one in valid UTF-8.
inline Character characterAt(const uint8_t* p) {
  const uint32_t lead = *p;
  if (lead < 0x80) return {kClassTable.ascii[lead], 1};
  if (lead < 0xe0) return {classOf((lead & 0x1f) << 6 | (p[1] & 0x3f)), 2};
  if (lead < 0xf0) return {classOf((lead & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f)), 3};
  return {classOf((lead & 0x07) << 18 | (p[1] & 0x3f) << 12 | (p[2] & 0x3f) << 6 | (p[3] & 0x3f)), 4};
}

// Its code point.
inline uint32_t codeAt(const uint8_t* p) {
  const uint32_t lead = *p;
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return (lead & 0x1f) << 6 | (p[1] & 0x3fu);
  if (lead < 0xf0) return (lead & 0x0f) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
  return (lead & 0x07) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

// Bytes of the character that begins with `lead`, in valid UTF-8.
inline size_t characterBytes(uint8_t lead) { return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4; }

// Writes a character, of at most four bytes, and returns its end.
inline uint8_t* writeCode(uint32_t code, uint8_t* to) {
  const auto put = [&](uint32_t byte) { *to++ = static_cast<uint8_t>(byte); };
  if (code < 0x80) return put(code), to;
  if (code < 0x800) return put(0xc0 | code >> 6), put(0x80 | (code & 0x3f)), to;
  if (code < 0x10000) return put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f)), to;
  put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  return to;
}

// Where the character before `at` begins.
inline size_t characterBefore(const uint8_t* text, size_t at) {
  do --at;
  while ((text[at] & 0xc0) == 0x80);
  return at;
}

constexpr size_t kBlock = 16;  // of text that is looked at together

// Whether kBlock bytes of ASCII are at p.
inline bool isAsciiBlock(const uint8_t* p, const uint8_t* end) {
  if (static_cast<size_t>(end - p) < kBlock) return false;
  uint64_t words[2];
  memcpy(words, p, kBlock);
  return ((words[0] | words[1]) & 0x8080808080808080) == 0;
}

// How many bytes from the start are valid UTF-8 (no surrogates, no overlong forms).
size_t validUtf8(const uint8_t* text, size_t bytes);

// UTF-8 as UTF-16: at most `bytes` units at `out`; `units` becomes their count. False where it is not valid.
bool toUtf16(const uint8_t* text, size_t bytes, char16_t* out, size_t& units);

// The other way round, into room for three bytes for each unit and kBlock more; halves of surrogate pairs become
// U+FFFD. Returns how many bytes.
size_t toUtf8(const char16_t* text, size_t units, uint8_t* out);

}  // namespace quipu::tokenizer

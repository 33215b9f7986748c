#include "tokenizer/unicode.h"

#include <cstring>

namespace quipu::tokenizer {

namespace {

#include "tokenizer/unicode_tables.inc"

constexpr uint8_t classesOf(char letter) {
  switch (letter) {
    case ' ':
      return kSpace;
    case 'U':
      return kUpper | kWord;
    case 'l':
      return kLower | kWord;
    case 'o':
      return kOtherLetter | kWord;
    case 'm':
      return kMark | kWord;
    case 'd':
      return kNumber | kWord;
    case 'n':
      return kNumber;
    case '_':
      return kWord;
    default:
      return 0;
  }
}

constexpr ClassTable expand() {
  ClassTable table{};
  for (size_t i = 0; i < 0x1100; ++i) table.blockOf[i] = kBlockIndex[i];
  for (size_t block = 0; block < kBlocks; ++block) {
    for (size_t i = 0; i < 256; ++i) table.classes[block][i] = classesOf(kBlockLetters[block][i]);
  }
  for (size_t i = 0; i < 128; ++i) table.ascii[i] = table.classes[kBlockIndex[0]][i];
  return table;
}

bool isContinuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

// The length of the character at p, 0 where the bytes before `end` are none (Unicode 16, table 3-7).
size_t characterLength(const uint8_t* p, const uint8_t* end) {
  const uint8_t lead = p[0];
  const auto left = static_cast<size_t>(end - p);
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || left < 2 || !isContinuation(p[1])) return 0;
  if (lead < 0xe0) return 2;
  if (left < 3 || !isContinuation(p[2])) return 0;
  if (lead < 0xf0) {
    if (lead == 0xe0 && p[1] < 0xa0) return 0;
    if (lead == 0xed && p[1] >= 0xa0) return 0;
    return 3;
  }
  if (lead > 0xf4 || left < 4 || !isContinuation(p[3])) return 0;
  if (lead == 0xf0 && p[1] < 0x90) return 0;
  if (lead == 0xf4 && p[1] >= 0x90) return 0;
  return 4;
}

}  // namespace

constinit const ClassTable kClassTable = expand();

size_t validUtf8(const uint8_t* text, size_t bytes) {
  const uint8_t *p = text, *const end = text + bytes;
  while (p < end) {
    if (end - p >= 16) {
      uint64_t words[2];
      memcpy(words, p, 16);
      if (((words[0] | words[1]) & 0x8080808080808080) == 0) {
        p += 16;
        continue;
      }
    }
    const size_t length = characterLength(p, end);
    if (length == 0) break;
    p += length;
  }
  return static_cast<size_t>(p - text);
}

bool toUtf16(const uint8_t* text, size_t bytes, char16_t* out, size_t& units) {
  constexpr size_t kBlock = 16;
  const uint8_t *p = text, *const end = text + bytes;
  char16_t* to = out;
  while (p < end) {
    if (static_cast<size_t>(end - p) >= kBlock) {
      uint64_t words[2];
      memcpy(words, p, kBlock);
      if (((words[0] | words[1]) & 0x8080808080808080) == 0) {
        for (size_t i = 0; i < kBlock; ++i) to[i] = p[i];
        p += kBlock, to += kBlock;
        continue;
      }
    }
    const size_t length = characterLength(p, end);
    switch (length) {
      case 1:
        *to++ = *p;
        break;
      case 2:
        *to++ = static_cast<char16_t>((p[0] & 0x1f) << 6 | (p[1] & 0x3f));
        break;
      case 3:
        *to++ = static_cast<char16_t>((p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f));
        break;
      case 4: {
        const uint32_t code = (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
        *to++ = static_cast<char16_t>(0xd7c0 + (code >> 10));  // 0xd800 - (0x10000 >> 10)
        *to++ = static_cast<char16_t>(0xdc00 | (code & 0x3ff));
        break;
      }
      default:
        return false;
    }
    p += length;
  }
  units = static_cast<size_t>(to - out);
  return true;
}

}  // namespace quipu::tokenizer

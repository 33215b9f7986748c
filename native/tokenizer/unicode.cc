#include "tokenizer/unicode.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

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
    case 'p':
      return kSymbol;
    case '_':
      return kSymbol | kWord;
    case 'j':
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
    if (isAsciiBlock(p, end)) {
      p += kBlock;
      continue;
    }
    const size_t length = characterLength(p, end);
    if (length == 0) break;
    p += length;
  }
  return static_cast<size_t>(p - text);
}

bool toUtf16(const uint8_t* text, size_t bytes, char16_t* out, size_t& units) {
  const uint8_t *p = text, *const end = text + bytes;
  char16_t* to = out;
  while (p < end) {
    if (isAsciiBlock(p, end)) {
      for (size_t i = 0; i < kBlock; ++i) to[i] = p[i];
      p += kBlock, to += kBlock;
      continue;
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

size_t toUtf8(const char16_t* text, size_t units, uint8_t* out) {
  const char16_t *p = text, *const end = text + units;
  uint8_t* to = out;
  while (p < end) {
#if defined(__SSE2__)
    if (static_cast<size_t>(end - p) >= kBlock) {
      const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + kBlock / 2));
      const __m128i beyond = _mm_and_si128(_mm_or_si128(low, high), _mm_set1_epi16(static_cast<int16_t>(0xff80)));
      if (_mm_movemask_epi8(_mm_cmpeq_epi16(beyond, _mm_setzero_si128())) == 0xffff) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(low, high));
        p += kBlock, to += kBlock;
        continue;
      }
    }
#endif
    // Characters of one script mostly follow each other.
    uint32_t unit = *p++;
    for (; unit >= 0x80; unit = *p++) {
      if (unit < 0x800) {
        *to++ = static_cast<uint8_t>(0xc0 | unit >> 6);
      } else {
        const bool isPair = (unit & 0xfc00) == 0xd800 && p < end && (*p & 0xfc00) == 0xdc00;
        if (isPair) {
          const uint32_t code = 0x10000 + ((unit & 0x3ff) << 10 | (*p++ & 0x3ff));
          *to++ = static_cast<uint8_t>(0xf0 | code >> 18);
          *to++ = static_cast<uint8_t>(0x80 | (code >> 12 & 0x3f));
          unit = code & 0xfff;
        } else {
          if ((unit & 0xf800) == 0xd800) unit = 0xfffd;
          *to++ = static_cast<uint8_t>(0xe0 | unit >> 12);
        }
        *to++ = static_cast<uint8_t>(0x80 | (unit >> 6 & 0x3f));
      }
      *to++ = static_cast<uint8_t>(0x80 | (unit & 0x3f));
      if (p == end) return static_cast<size_t>(to - out);
    }
    *to++ = static_cast<uint8_t>(unit);
  }
  return static_cast<size_t>(to - out);
}

}  // namespace quipu::tokenizer

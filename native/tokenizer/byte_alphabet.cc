#include "tokenizer/byte_alphabet.h"

#include <array>
#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace quipu::tokenizer {

namespace {

constexpr uint32_t kNoByte = 0x100;

// The byte that each character below U+0144 stands for.
constexpr std::array<uint16_t, 0x144> byteAlphabet() {
  std::array<uint16_t, 0x144> bytes{};
  uint32_t moved = 0x100;
  for (uint16_t& byte : bytes) byte = kNoByte;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    bytes[printable ? byte : moved++] = static_cast<uint16_t>(byte);
  }
  return bytes;
}

constexpr auto kByteOf = byteAlphabet();

// The byte of a character of two bytes, or kNoByte.
uint32_t byteOfTwo(uint8_t lead, uint8_t next) {
  if (lead < 0xc2 || lead > 0xc5 || (next & 0xc0) != 0x80) return kNoByte;
  const uint32_t code = (lead & 0x1fu) << 6 | (next & 0x3fu);
  return code < kByteOf.size() ? kByteOf[code] : kNoByte;
}

}  // namespace

AlphabetText readAlphabet(std::string_view text, size_t at, uint8_t* to, const uint8_t* full) {
  const auto byteAt = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  while (at < text.size() && to < full) {
    uint8_t c = byteAt(at);
    if (c >= 0x80) {
      const uint32_t byte = at + 1 < text.size() ? byteOfTwo(c, byteAt(at + 1)) : kNoByte;
      if (byte == kNoByte) break;
      *to++ = static_cast<uint8_t>(byte);
      at += 2;
      continue;
    }
#if defined(__SSE2__)
    constexpr size_t kBlock = 16;
    if (text.size() - at >= kBlock && static_cast<size_t>(full - to) >= kBlock) {
      const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), block);
      // As signed numbers, bytes from 0x80 on are below '!'.
      const auto is = [&](char which) { return _mm_cmpeq_epi8(block, _mm_set1_epi8(which)); };
      const __m128i outside = _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8('!')), is(0x7f));
      const __m128i stops = _mm_or_si128(outside, _mm_or_si128(is('"'), is('\\')));
      const auto run =
          static_cast<size_t>(std::countr_zero(static_cast<uint32_t>(_mm_movemask_epi8(stops)) | 1u << kBlock));
      at += run;
      to += run;
      if (run == kBlock || (c = byteAt(at)) >= 0x80) continue;
    }
#endif
    if (c == '\\') {
      if (at + 1 == text.size() || (text[at + 1] != '"' && text[at + 1] != '\\')) break;
      *to++ = byteAt(at + 1);
      at += 2;
    } else if (c == '"' || kByteOf[c] == kNoByte) {
      break;
    } else {
      *to++ = c;
      ++at;
    }
  }
  return {at, to};
}

uint8_t* writeAlphabet(std::string_view text, uint8_t* to) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    uint32_t byte = c < 0x80 ? kByteOf[c] : kNoByte;
    if (c >= 0x80 && i + 1 < text.size()) byte = byteOfTwo(c, static_cast<uint8_t>(text[++i]));
    if (byte == kNoByte) return nullptr;
    *to++ = static_cast<uint8_t>(byte);
  }
  return to;
}

}  // namespace quipu::tokenizer

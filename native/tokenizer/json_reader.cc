#include "tokenizer/json_reader.h"

#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace quipu::tokenizer {

namespace {

void appendUtf8(uint32_t code, std::string& out) {
  const auto push = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return push(code);
  if (code < 0x800) return push(0xc0 | code >> 6), push(0x80 | (code & 0x3f));
  if (code < 0x10000) return push(0xe0 | code >> 12), push(0x80 | (code >> 6 & 0x3f)), push(0x80 | (code & 0x3f));
  push(0xf0 | code >> 18), push(0x80 | (code >> 12 & 0x3f)), push(0x80 | (code >> 6 & 0x3f));
  push(0x80 | (code & 0x3f));
}

// Four hexadecimal digits at `at`, or -1.
int32_t hexAt(std::string_view raw, size_t at) {
  if (at + 4 > raw.size()) return -1;
  int32_t value = 0;
  for (const char c : raw.substr(at, 4)) {
    const char lower = static_cast<char>(c | 0x20);
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + (lower - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

}  // namespace

void JsonReader::skipWhite() {
#if defined(__SSE2__)
  // A line break and its indentation.
  constexpr size_t kBlock = 16;
  if (text_.size() - at_ >= kBlock) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text_.data() + at_));
    const auto is = [&](char c) { return _mm_cmpeq_epi8(block, _mm_set1_epi8(c)); };
    const __m128i white = _mm_or_si128(_mm_or_si128(is(' '), is('\n')), _mm_or_si128(is('\r'), is('\t')));
    at_ += static_cast<size_t>(std::countr_one(static_cast<uint32_t>(_mm_movemask_epi8(white))));
  }
#endif
  while (at_ < text_.size() && isWhite(text_[at_])) ++at_;
}

bool JsonReader::string(std::string_view& raw) {
  if (!take('"')) return false;
  const size_t start = at_;
  for (; at_ < text_.size(); ++at_) {
    if (text_[at_] == '\\') {
      ++at_;
    } else if (text_[at_] == '"') {
      raw = text_.substr(start, at_++ - start);
      return true;
    }
  }
  return false;
}

bool JsonReader::skip() {
  std::string_view raw;
  size_t depth = 0;
  do {
    switch (peek()) {
      case '\0':
        return false;
      case '"':
        if (!string(raw)) return false;
        break;
      case '{':
      case '[':
        ++depth, ++at_;
        break;
      case '}':
      case ']':
        if (depth == 0) return false;
        --depth, ++at_;
        break;
      case ',':
      case ':':
        if (depth == 0) return false;
        ++at_;
        break;
      default:
        word();
    }
  } while (depth > 0);
  return true;
}

std::string_view JsonReader::word() {
  peek();
  const size_t start = at_;
  while (at_ < text_.size() && !isWhite(text_[at_])) {
    const char c = text_[at_];
    if (c == ',' || c == ':' || c == '"' || c == '[' || c == ']' || c == '{' || c == '}') break;
    ++at_;
  }
  return text_.substr(start, at_ - start);
}

bool unescape(std::string_view raw, std::string& out) {
  constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  for (size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (static_cast<uint8_t>(c) < 0x20) return false;
    if (c != '\\') {
      out += c;
      continue;
    }
    if (++i == raw.size()) return false;
    if (raw[i] != 'u') {
      const size_t meaning = kLetters.find(raw[i]);
      if (meaning == std::string_view::npos) return false;
      out += kMeanings[meaning];
      continue;
    }
    const int32_t unit = hexAt(raw, i + 1);
    if (unit < 0) return false;
    i += 4;
    const bool high = unit >= 0xd800 && unit < 0xdc00;
    const int32_t low = high && raw.substr(i + 1, 2) == "\\u" ? hexAt(raw, i + 3) : -1;
    if (low >= 0xdc00 && low < 0xe000) {
      appendUtf8(static_cast<uint32_t>(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)), out);
      i += 6;
    } else {
      appendUtf8(unit >= 0xd800 && unit < 0xe000 ? 0xfffd : static_cast<uint32_t>(unit), out);
    }
  }
  return true;
}

}  // namespace quipu::tokenizer

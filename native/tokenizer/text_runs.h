// Runs of characters of one kind, and other parts that split patterns share (split_patterns.h). `p` is where a part
// begins, `end` the end of the text; each returns the end of the part.
#pragma once

#include <bit>
#include <cstring>

#include "tokenizer/unicode.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace quipu::tokenizer {

using Bytes = const uint8_t*;

// The end of the run of characters with one of `classes`.
inline Bytes runOf(uint8_t classes, Bytes p, Bytes end) {
  while (p < end) {
    const Character c = characterAt(p);
    if ((c.classes & classes) == 0) break;
    p += c.bytes;
  }
  return p;
}

// The end of the run of characters with none of `classes`.
inline Bytes runWithout(uint8_t classes, Bytes p, Bytes end) {
  while (p < end) {
    const Character c = characterAt(p);
    if ((c.classes & classes) != 0) break;
    p += c.bytes;
  }
  return p;
}

#if defined(__SSE2__)
// A bit for each of the 16 bytes at p that is in [first, first + count), with the bits of `fold` set before comparing.
inline uint32_t rangeMask(Bytes p, uint8_t first, uint8_t count, uint8_t fold = 0) {
  const __m128i bytes =
      _mm_or_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), _mm_set1_epi8(static_cast<char>(fold)));
  const __m128i moved = _mm_sub_epi8(bytes, _mm_set1_epi8(static_cast<char>(first)));
  const __m128i outside = _mm_subs_epu8(moved, _mm_set1_epi8(static_cast<char>(count - 1)));
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(outside, _mm_setzero_si128())));
}
#endif

// [A-Za-z]*
inline Bytes asciiLetters(Bytes p, Bytes end) {
#if defined(__SSE2__)
  while (end - p >= 16) {
    const int run = std::countr_one(rangeMask(p, 'a', 26, 0x20));
    p += run;
    if (run < 16) return p;
  }
#endif
  while (p < end && static_cast<uint8_t>((*p | 0x20) - 'a') < 26) ++p;
  return p;
}

// \p{L}*, or [\p{L}\p{M}]* where `classes` has marks
template <uint8_t Classes = kLetter>
inline Bytes letters(Bytes p, Bytes end) {
  p = asciiLetters(p, end);
  return p < end && *p >= 0x80 ? runOf(Classes, p, end) : p;
}

// \s*, where the last character of the run begins and what follows the last line break, if there is one.
struct WhiteSpace {
  Bytes end, last, afterBreak;
};

inline WhiteSpace whiteSpace(Bytes p, Bytes end) {
  WhiteSpace run{p, p, nullptr};
  while (run.end < end) {
#if defined(__SSE2__)
    // Long runs are mostly of spaces.
    if (*run.end == ' ' && end - run.end >= 16) {
      const int spaces = std::countr_one(rangeMask(run.end, ' ', 1));
      if (spaces > 0) run.last = run.end + spaces - 1;
      run.end += spaces;
      if (spaces == 16) continue;
    }
#endif
    const Character c = characterAt(run.end);
    if ((c.classes & kSpace) == 0) break;
    run.last = run.end;
    run.end += c.bytes;
    if (*run.last == '\n' || *run.last == '\r') run.afterBreak = run.end;
  }
  return run;
}

// \s+(?!\S)|\s+ where white space begins at p: all of it at the end of a text, else all but the last character, which
// belongs to what follows, unless it is the only one.
inline Bytes spacesBefore(const WhiteSpace& run, Bytes p, Bytes end) {
  return run.end == end || run.last == p ? run.end : run.last;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d) at p, else p. U+017F folds to s; nothing else folds to these letters.
inline Bytes contraction(Bytes p, Bytes end) {
  if (end - p < 2 || *p != '\'') return p;
  const uint8_t first = p[1] | 0x20;
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return p + 2;
  if (end - p < 3) return p;
  if (p[1] == 0xc5 && p[2] == 0xbf) return p + 3;
  const uint8_t second = p[2] | 0x20;
  const bool pair =
      (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
  return pair ? p + 3 : p;
}

// 's|'t|'re|'ve|'m|'ll|'d at p, else p.
inline Bytes contractionInLowerCase(Bytes p, Bytes end) {
  const Bytes after = contraction(p, end);
  for (Bytes q = p + 1; q < after; ++q) {
    if (*q < 'a' || *q > 'z') return p;
  }
  return after;
}

// \p{N}{1,Most} where a number begins at p
template <int Most>
inline Bytes numbers(Bytes p, Bytes end) {
  for (int i = 0; i < Most && p < end; ++i) {
    const Character c = characterAt(p);
    if ((c.classes & kNumber) == 0) break;
    p += c.bytes;
  }
  return p;
}

inline Bytes lineBreaks(Bytes p, Bytes end, bool slashes) {
  while (p < end && (*p == '\n' || *p == '\r' || (slashes && *p == '/'))) ++p;
  return p;
}

}  // namespace quipu::tokenizer

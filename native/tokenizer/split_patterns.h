// The state machines behind pretokenizer.h, inline for the loops that cut and encode. `p` is where a piece begins,
// `end` the end of the text; each returns the end of the piece.
#pragma once

#include <bit>
#include <cstring>

#include "tokenizer/pretokenizer.h"
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

// \p{L}*
inline Bytes letters(Bytes p, Bytes end) {
#if defined(__SSE2__)
  while (end - p >= 16) {
    const int run = std::countr_one(rangeMask(p, 'a', 26, 0x20));
    p += run;
    if (run == 16) continue;
    if (*p < 0x80) return p;
    break;
  }
#endif
  return runOf(kLetter, p, end);
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
    if (end - run.end >= 16) {
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

// \p{N}{1,3} where a number begins at p
inline Bytes upToThreeNumbers(Bytes p, Bytes end) {
  for (int i = 0; i < 3 && p < end; ++i) {
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

constexpr uint8_t kNoSymbol = kSpace | kLetter | kNumber;

// What is no letter and no number: ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, and for cl100k \s++$ before
// the second.
template <bool SlashesAfter, bool WholeAtEnd>
inline Bytes symbolsOrSpace(Bytes p, Character first, Bytes end) {
  Bytes symbols = p;
  if (*p == ' ' && end - p > 1) {
    ++symbols;
    first = characterAt(symbols);
  }
  if ((first.classes & kNoSymbol) == 0) {
    return lineBreaks(runWithout(kNoSymbol, symbols + first.bytes, end), end, SlashesAfter);
  }
  const WhiteSpace run = whiteSpace(p, end);
  if (WholeAtEnd && run.end == end) return end;
  if (run.afterBreak != nullptr) return run.afterBreak;
  return spacesBefore(run, p, end);
}

// (?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// cl100k is the same with possessive quantifiers, which change nothing here, and \s++$ before \s*[\r\n].
template <bool WholeAtEnd>
inline Bytes llama3Piece(Bytes p, Bytes end) {
  const Character first = characterAt(p);
  if (first.classes & kLetter) return letters(p + first.bytes, end);
  if (first.classes & kNumber) return upToThreeNumbers(p, end);
  if (const Bytes after = contraction(p, end); after != p) return after;
  if (*p != '\r' && *p != '\n') {
    const Bytes next = p + first.bytes;
    const Bytes after = letters(next, end);
    if (after != next) return after;
  }
  return symbolsOrSpace<false, WholeAtEnd>(p, first, end);
}

// The two letter alternatives of o200k from p, without the optional character before them:
//   [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+   else
//   [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*
// The first run takes all it can. With a lower-case letter after it the second run goes on from there; without one the
// first alternative gives back characters until the last that is neither upper nor lower, and ends after that; with
// none of those the second alternative takes the run.
struct Word {
  Bytes end;
  bool firstAlternative;
};

inline Word o200kWord(Bytes p, Bytes end) {
  constexpr uint8_t kUncased = kOtherLetter | kMark;
  Bytes afterUncased = nullptr;
  Bytes q = p;
#if defined(__SSE2__)
  if (end - p >= 16) q += std::countr_one(rangeMask(p, 'A', 26));
#endif
  while (q < end) {
    const Character c = characterAt(q);
    if ((c.classes & (kUpper | kUncased)) == 0) {
      if ((c.classes & kLower) == 0) break;
      q += c.bytes;
#if defined(__SSE2__)
      while (end - q >= 16) {
        const int run = std::countr_one(rangeMask(q, 'a', 26));
        q += run;
        if (run < 16) break;
      }
#endif
      return {runOf(kLower | kUncased, q, end), true};
    }
    q += c.bytes;
    if (c.classes & kUncased) afterUncased = q;
  }
  if (afterUncased != nullptr) return {afterUncased, true};
  return {q, false};
}

// [^\r\n\p{L}\p{N}]?(words as above)(?i:'s|…)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
inline Bytes o200kPiece(Bytes p, Bytes end) {
  const Character first = characterAt(p);
  if (first.classes & kNumber) return upToThreeNumbers(p, end);
  const bool before = (first.classes & kLetter) == 0 && *p != '\r' && *p != '\n';
  const Bytes start = before ? p + first.bytes : p;
  if (*p != '\r' && *p != '\n') {
    const Word word = o200kWord(start, end);
    // A mark may be the character before, or of the word: where the first alternative fails after it, it is tried from
    // it, and ends with it, as no other such character follows.
    if (!word.firstAlternative && (first.classes & kMark)) return contraction(start, end);
    if (word.end != start) return contraction(word.end, end);
  }
  return symbolsOrSpace<true, false>(p, first, end);
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// With digits apart, a number is a piece of its own and to its neighbours the end of the text.
template <bool DigitsApart>
inline Bytes gpt2Piece(Bytes p, Bytes end) {
  if (*p == '\'') {
    if (const Bytes after = contractionInLowerCase(p, end); after != p) return after;
  }
  const Character first = characterAt(p);
  if (DigitsApart && (first.classes & kNumber)) return p + first.bytes;
  const Bytes start = *p == ' ' && end - p > 1 ? p + 1 : p;
  const Character c = characterAt(start);
  if (c.classes & kLetter) return letters(start + c.bytes, end);
  if (c.classes & kNumber) {
    if (DigitsApart) return start;
    return runOf(kNumber, start + c.bytes, end);
  }
  if ((c.classes & kSpace) == 0) return runWithout(kNoSymbol, start + c.bytes, end);
  const WhiteSpace run = whiteSpace(p, end);
  if (DigitsApart && run.end < end && (characterAt(run.end).classes & kNumber)) return run.end;
  return spacesBefore(run, p, end);
}

template <Pattern P>
inline Bytes pieceOf(Bytes p, Bytes end) {
  if constexpr (P == Pattern::kLlama3) return llama3Piece<false>(p, end);
  if constexpr (P == Pattern::kCl100k) return llama3Piece<true>(p, end);
  if constexpr (P == Pattern::kO200k) return o200kPiece(p, end);
  if constexpr (P == Pattern::kGpt2) return gpt2Piece<false>(p, end);
  if constexpr (P == Pattern::kGpt2Digits) return gpt2Piece<true>(p, end);
}

}  // namespace quipu::tokenizer

// The state machines behind pretokenizer.h, inline for the loops that cut and encode. `p` is where a piece begins,
// `end` the end of the text; each returns the end of the piece. Those that differ in little are one template.
#pragma once

#include "tokenizer/deepseek_patterns.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/text_runs.h"

namespace quipu::tokenizer {

constexpr uint8_t kNoSymbol = kSpace | kLetter | kNumber;

// What is no letter and no number: ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, and for cl100k \s++$ before
// the second.
template <bool SlashesAfter, bool WholeAtEnd, uint8_t NoSymbol = kNoSymbol>
inline Bytes symbolsOrSpace(Bytes p, Character first, Bytes end) {
  Bytes symbols = p;
  if (*p == ' ' && end - p > 1) {
    ++symbols;
    first = characterAt(symbols);
  }
  if ((first.classes & NoSymbol) == 0) {
    return lineBreaks(runWithout(NoSymbol, symbols + first.bytes, end), end, SlashesAfter);
  }
  const WhiteSpace run = whiteSpace(p, end);
  if (WholeAtEnd && run.end == end) return end;
  if (run.afterBreak != nullptr) return run.afterBreak;
  return spacesBefore(run, p, end);
}

// (?i:'s|…)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// cl100k is the same with possessive quantifiers, which change nothing here, and \s++$ before \s*[\r\n]. Qwen 2 has one
// number in a piece, Qwen 3.5 also marks wherever letters are: a mark before letters is one of them in any case.
template <int Numbers, uint8_t Letters, bool WholeAtEnd>
inline Bytes llama3Piece(Bytes p, Bytes end) {
  const Character first = characterAt(p);
  if (first.classes & Letters) return letters<Letters>(p + first.bytes, end);
  if (first.classes & kNumber) return numbers<Numbers>(p, end);
  if (const Bytes after = contraction(p, end); after != p) return after;
  if (*p != '\r' && *p != '\n') {
    const Bytes next = p + first.bytes;
    const Bytes after = letters<Letters>(next, end);
    if (after != next) return after;
  }
  return symbolsOrSpace<false, WholeAtEnd, kNoSymbol | Letters>(p, first, end);
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
// Tekken has one number in a piece, and no contractions.
template <int Numbers, bool Contractions>
inline Bytes o200kPiece(Bytes p, Bytes end) {
  const auto contracted = [end](Bytes word) { return Contractions ? contraction(word, end) : word; };
  const Character first = characterAt(p);
  if (first.classes & kNumber) return numbers<Numbers>(p, end);
  const bool before = (first.classes & kLetter) == 0 && *p != '\r' && *p != '\n';
  const Bytes start = before ? p + first.bytes : p;
  if (*p != '\r' && *p != '\n') {
    const Word word = o200kWord(start, end);
    // A mark may be the character before, or of the word: where the first alternative fails after it, it is tried from
    // it, and ends with it, as no other such character follows.
    if (!word.firstAlternative && (first.classes & kMark)) return contracted(start);
    if (word.end != start) return contracted(word.end);
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
  if constexpr (P == Pattern::kLlama3) return llama3Piece<3, kLetter, false>(p, end);
  if constexpr (P == Pattern::kCl100k) return llama3Piece<3, kLetter, true>(p, end);
  if constexpr (P == Pattern::kQwen2) return llama3Piece<1, kLetter, false>(p, end);
  if constexpr (P == Pattern::kQwen35) return llama3Piece<1, kLetter | kMark, false>(p, end);
  if constexpr (P == Pattern::kO200k) return o200kPiece<3, true>(p, end);
  if constexpr (P == Pattern::kTekken) return o200kPiece<1, false>(p, end);
  if constexpr (P == Pattern::kGpt2) return gpt2Piece<false>(p, end);
  if constexpr (P == Pattern::kGpt2Digits) return gpt2Piece<true>(p, end);
  if constexpr (P == Pattern::kDeepSeekV2) return deepSeekV2Piece(p, end);
  if constexpr (P == Pattern::kDeepSeekV3) return deepSeekV3Piece(p, end);
}

// What `with` returns, which is called with the pattern as its template argument.
template <typename With>
auto withPattern(Pattern pattern, With with) {
  switch (pattern) {
    case Pattern::kCl100k:
      return with.template operator()<Pattern::kCl100k>();
    case Pattern::kQwen2:
      return with.template operator()<Pattern::kQwen2>();
    case Pattern::kQwen35:
      return with.template operator()<Pattern::kQwen35>();
    case Pattern::kO200k:
      return with.template operator()<Pattern::kO200k>();
    case Pattern::kTekken:
      return with.template operator()<Pattern::kTekken>();
    case Pattern::kGpt2:
      return with.template operator()<Pattern::kGpt2>();
    case Pattern::kGpt2Digits:
      return with.template operator()<Pattern::kGpt2Digits>();
    case Pattern::kDeepSeekV2:
      return with.template operator()<Pattern::kDeepSeekV2>();
    case Pattern::kDeepSeekV3:
      return with.template operator()<Pattern::kDeepSeekV3>();
    case Pattern::kLlama3:
      break;
  }
  return with.template operator()<Pattern::kLlama3>();
}

}  // namespace quipu::tokenizer

// DeepSeek's patterns: splits one after another, each of which cuts the pieces that those before it have left, as
// machines that find the next place where one of them cuts. `p` is where a piece begins, `end` the end of the text.
#pragma once

#include "tokenizer/text_runs.h"

namespace quipu::tokenizer {

// DeepSeek V3 cuts by
//   \p{N}{1,3}
//   [\u4E00-\u9FA5\u3040-\u30FF]+
//   [!-/:-@\[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
// So numbers and the runs of the second are, to the third, where a text begins and ends; what it matches nothing of
// (controls, private use, what is not assigned) is a piece from one match to the next.

// U+3040–30FF, U+4E00–9FA5
inline bool isKanaOrHan(Bytes p) {
  if (*p == 0xe3) return p[1] >= 0x81 && p[1] <= 0x83;
  if (*p < 0xe4 || *p > 0xe9) return false;
  const uint32_t code = (*p & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
  return code >= 0x4e00 && code <= 0x9fa5;
}

// The end of the run of characters with one of `classes`, of kana and Han or of others, as the third split sees it.
template <bool KanaOrHan>
inline Bytes runWithin(uint8_t classes, Bytes p, Bytes end) {
  while (p < end) {
    const Character c = characterAt(p);
    if ((c.classes & classes) == 0 || isKanaOrHan(p) != KanaOrHan) break;
    p += c.bytes;
  }
  return p;
}

template <bool KanaOrHan>
inline Bytes deepSeekV3Letters(Bytes p, Bytes end) {
  constexpr uint8_t kLetters = kLetter | kMark;
  // In ASCII nothing is kana or Han.
  return runWithin<KanaOrHan>(kLetters, KanaOrHan ? p : asciiLetters(p, end), end);
}

template <bool KanaOrHan>
inline Bytes deepSeekV3Part(Bytes p, Character first, Bytes end) {
  const Bytes next = p + first.bytes;
  if (first.classes & (kLetter | kMark)) return deepSeekV3Letters<KanaOrHan>(next, end);
  if (first.classes & kSymbol) {
    if (*p < 0x80) {
      if (const Bytes after = asciiLetters(next, end); after != next) return after;
    }
  } else if (*p != '\r' && *p != '\n') {
    if (const Bytes after = deepSeekV3Letters<KanaOrHan>(next, end); after != next) return after;
  }
  const Bytes symbols = *p == ' ' ? next : p;
  if (const Bytes after = runWithin<KanaOrHan>(kSymbol, symbols, end); after != symbols) {
    return KanaOrHan ? after : lineBreaks(after, end, false);  // a line break ends a run of the second split
  }
  if (first.classes & kSpace) {
    const WhiteSpace run = whiteSpace(p, end);
    if (run.afterBreak != nullptr) return run.afterBreak;
    const bool ends = run.end == end || (characterAt(run.end).classes & kNumber) || isKanaOrHan(run.end);
    return ends ? run.end : spacesBefore(run, p, end);
  }
  // The last of the others belongs to letters, where these follow.
  constexpr uint8_t kMatched = kLetter | kMark | kSymbol | kSpace | kNumber;
  Bytes last = p, q = next;
  while (q < end && isKanaOrHan(q) == KanaOrHan) {
    const Character c = characterAt(q);
    if (c.classes & (kLetter | kMark)) return last;
    if (c.classes & kMatched) break;
    last = q;
    q += c.bytes;
  }
  return q;
}

inline Bytes deepSeekV3Piece(Bytes p, Bytes end) {
  const Character first = characterAt(p);
  if (first.classes & kNumber) return numbers<3>(p, end);
  return isKanaOrHan(p) ? deepSeekV3Part<true>(p, first, end) : deepSeekV3Part<false>(p, first, end);
}

// The cased letters that DeepSeek's second split lists: a bit for each code point.
struct CasedLetters {
  static constexpr uint32_t kEnd = 0x1e944;
  uint64_t bits[kEnd / 64 + 1];
  bool has(uint32_t code) const { return code < kEnd && (bits[code / 64] >> (code % 64) & 1) != 0; }
};

extern const CasedLetters kCasedLetters;

// DeepSeek LLM and V2 cut by
//   [\r\n]
//   \s?[cased letters]+                     a list, in deepseek_patterns.cc
//   \s?[!-/:-~！-／：-～‘-‟\u3000-\u3002]+    letters among them
//   \s+$
//   [\u0800-\u9FA5\uAC00-\uD7FF]+
//   \p{N}                                   each alone
// A cut depends on the characters beside it, the two that follow, and the white space that begins there.
class DeepSeekV2 {
 public:
  explicit DeepSeekV2(Bytes end) : end_(end) {}

  Bytes pieceEnd(Bytes p) const {
    Place before = at(p);
    if (before.kinds & kBreak) return p + 1;
    for (;;) {
      Bytes q = p + before.bytes;
      if ((before.kinds & kPlainLetter) == kPlainLetter) q = asciiLetters(q, end_);
      const Place here = at(q);
      if ((here.kinds & (kBreak | kEnd)) || cuts(before.kinds, q, here)) return q;
      p = q;
      before = here;
    }
  }

 private:
  enum Kind : uint8_t {
    kCased = 1,
    kListed = 2,  // of the third split
    kEast = 4,    // of the fifth
    kDigit = 8,
    kWhite = 16,
    kBreak = 32,
    kEnd = 64,
    kPlainLetter = kCased | kListed,  // of ASCII, and its full-width forms
  };
  struct Place {
    uint8_t kinds;
    uint8_t bytes;
  };

  static uint8_t kindsOf(uint32_t code, uint8_t classes) {
    const auto within = [code](uint32_t first, uint32_t last) { return code >= first && code <= last; };
    uint8_t kinds = kCasedLetters.has(code) ? kCased : 0;
    if (within(0x2018, 0x201f) || within(0x3000, 0x3002) || within(0xff01, 0xff0f) || within(0xff1a, 0xff5e)) {
      kinds |= kListed;
    }
    if (within(0x0800, 0x9fa5) || within(0xac00, 0xd7ff)) kinds |= kEast;
    if (classes & kNumber) kinds |= kDigit;
    if (classes & kSpace) kinds |= kWhite;
    return kinds;
  }
  static uint8_t kindsOfAscii(uint8_t byte, uint8_t classes) {
    if (byte == '\r' || byte == '\n') return kBreak;
    uint8_t kinds = classes & kLetter ? kPlainLetter : classes & kSpace ? kWhite : classes & kNumber ? kDigit : 0;
    if (classes & kSymbol) kinds |= kListed;
    return kinds;
  }

  Place at(Bytes p) const {
    if (p == end_) return {kEnd, 0};
    const Character c = characterAt(p);
    return {c.bytes == 1 ? kindsOfAscii(*p, c.classes) : kindsOf(codeAt(p), c.classes), c.bytes};
  }

  // Whether the second split cuts between `before` and `here`.
  static bool cutsCased(uint8_t before, uint8_t here, uint8_t next) {
    if (here & kCased) return !(before & (kCased | kWhite));
    return (before & kCased) || ((here & kWhite) && (next & kCased));
  }
  // Whether that or the third does.
  bool cutsListed(uint8_t before, Bytes q, Place here) const {
    const Place next = at(q + here.bytes);
    if (cutsCased(before, here.kinds, next.kinds)) return true;
    if (here.kinds & kListed) return !(before & (kListed | kWhite));
    if (before & kListed) return true;
    return (here.kinds & kWhite) && (next.kinds & kListed) &&
           !cutsCased(here.kinds, next.kinds, at(q + here.bytes + next.bytes).kinds);
  }
  bool cuts(uint8_t before, Bytes q, Place here) const {
    if (((before | here.kinds) & kDigit) || ((before ^ here.kinds) & kEast)) return true;
    if (cutsListed(before, q, here)) return true;
    return (here.kinds & kWhite) && !(before & kWhite) && endsWithWhite(q, here);
  }
  // Whether white space from q on ends a piece of the third split.
  bool endsWithWhite(Bytes q, Place here) const {
    for (;;) {
      const uint8_t before = here.kinds;
      q += here.bytes;
      here = at(q);
      if ((here.kinds & (kBreak | kEnd)) || cutsListed(before, q, here)) return true;
      if (!(here.kinds & kWhite)) return false;
    }
  }

  Bytes end_;
};

inline Bytes deepSeekV2Piece(Bytes p, Bytes end) { return DeepSeekV2(end).pieceEnd(p); }

}  // namespace quipu::tokenizer

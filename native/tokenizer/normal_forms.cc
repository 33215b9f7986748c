#include "tokenizer/normal_forms.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "tokenizer/hash.h"
#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

#include "tokenizer/normalization_tables.inc"

// Flags of a character. kStarts: a boundary in every form, it does not interact with what is before it. From kChanges
// on, a bit for each Form in its order: normalization changes the character by itself.
constexpr uint8_t kStarts = 1, kChanges = 2;

struct Properties {
  uint8_t flags, combiningClass;
};

struct PropertyTable {
  uint8_t blockOf[0x1100];
  Properties properties[kBlocks][256];
};

constexpr PropertyTable expand() {
  PropertyTable table{};
  Properties ofLetter[128] = {};
  for (const Kind& kind : kKinds) ofLetter[static_cast<size_t>(kind.letter)] = {kind.flags, kind.combiningClass};
  for (size_t i = 0; i < 0x1100; ++i) table.blockOf[i] = kBlockIndex[i];
  for (size_t block = 0; block < kBlocks; ++block) {
    for (size_t i = 0; i < 256; ++i) {
      table.properties[block][i] = ofLetter[static_cast<size_t>(kBlockLetters[block][i])];
    }
  }
  return table;
}

constinit const PropertyTable kProperties = expand();

Properties propertiesOf(uint32_t code) { return kProperties.properties[kProperties.blockOf[code >> 8]][code & 0xff]; }

// Hangul syllables (The Unicode Standard, 3.12).
constexpr uint32_t kS = 0xac00, kL = 0x1100, kV = 0x1161, kT = 0x11a7;
constexpr uint32_t kLs = 19, kVs = 21, kTs = 28, kSyllables = kLs * kVs * kTs;

struct Symbol {
  uint32_t code;
  uint8_t combiningClass;
};

// The text of `code` in a table of expansions; false where it has none there.
template <size_t N>
bool expansion(const uint32_t (&codes)[N], const uint16_t* starts, const uint32_t* texts, uint32_t code,
               std::vector<Symbol>& out) {
  const uint32_t* const at = std::lower_bound(std::begin(codes), std::end(codes), code);
  if (at == std::end(codes) || *at != code) return false;
  const auto index = static_cast<size_t>(at - codes);
  for (size_t i = starts[index]; i < starts[index + 1]; ++i) {
    out.push_back({texts[i], propertiesOf(texts[i]).combiningClass});
  }
  return true;
}

void decompose(uint32_t code, bool compatible, std::vector<Symbol>& out) {
  if (const uint32_t syllable = code - kS; syllable < kSyllables) {
    out.push_back({kL + syllable / (kVs * kTs), 0});
    out.push_back({kV + syllable / kTs % kVs, 0});
    if (syllable % kTs != 0) out.push_back({kT + syllable % kTs, 0});
    return;
  }
  if (compatible && expansion(kCompatibleCodes, kCompatibleStarts, kCompatibleTexts, code, out)) return;
  if (expansion(kCanonicalCodes, kCanonicalStarts, kCanonicalTexts, code, out)) return;
  out.push_back({code, propertiesOf(code).combiningClass});
}

// The primary composite of the two, or 0 where they have none.
uint32_t composed(uint32_t first, uint32_t second) {
  if (first - kL < kLs && second - kV < kVs) return kS + ((first - kL) * kVs + second - kV) * kTs;
  if (first - kS < kSyllables && (first - kS) % kTs == 0 && second - kT - 1 < kTs - 1) return first + second - kT;
  const auto before = [](const Composition& a, const Composition& b) {
    return a.first != b.first ? a.first < b.first : a.second < b.second;
  };
  const Composition wanted{first, second, 0};
  const Composition* const at = std::lower_bound(std::begin(kCompositions), std::end(kCompositions), wanted, before);
  return at != std::end(kCompositions) && at->first == first && at->second == second ? at->composed : 0;
}

// Canonical ordering (UAX #15): each run of marks sorted by combining class, stably.
void reorder(std::vector<Symbol>& symbols) {
  for (auto first = symbols.begin(); first != symbols.end();) {
    if (first->combiningClass == 0) {
      ++first;
      continue;
    }
    const auto last = std::find_if(first, symbols.end(), [](const Symbol& s) { return s.combiningClass == 0; });
    std::stable_sort(first, last, [](const Symbol& a, const Symbol& b) { return a.combiningClass < b.combiningClass; });
    first = last;
  }
}

// UAX #15, the canonical composition algorithm: a symbol joins the last starter unless one between them is of class 0
// or of its own class or above.
void compose(std::vector<Symbol>& symbols) {
  size_t kept = 0, starter = symbols.size();  // of those kept; none yet
  for (const Symbol symbol : symbols) {
    if (starter < kept) {
      const bool adjacent = starter + 1 == kept;
      if (adjacent || symbols[kept - 1].combiningClass < symbol.combiningClass) {
        if (const uint32_t code = composed(symbols[starter].code, symbol.code); code != 0) {
          symbols[starter].code = code;
          continue;
        }
      }
    }
    if (symbol.combiningClass == 0) starter = kept;
    symbols[kept++] = symbol;
  }
  symbols.resize(kept);
}

void append(const uint8_t* text, size_t bytes, GrowingBuffer<uint8_t>& out) {
  uint8_t* const room = out.room(bytes + kPadding);
  if (bytes > 0) memcpy(room, text, bytes);
  out.advance(bytes);
}

// Where text that stays as it is ends: what is changed, or may be by what follows it, begins there.
const uint8_t* unchangedUntil(const uint8_t* p, const uint8_t* end, uint8_t changes) {
  const uint8_t* last = p;  // where the last character begins
  while (p < end) {
    if (isAsciiBlock(p, end)) {
      p += kBlock;
      last = p - 1;
      continue;
    }
    const uint8_t flags = propertiesOf(codeAt(p)).flags;
    if ((flags & kStarts) == 0) return last;
    if ((flags & changes) != 0) return p;
    last = p;
    p += characterBytes(*p);
  }
  return p;
}

}  // namespace

void applyForm(Form form, const uint8_t* text, size_t bytes, GrowingBuffer<uint8_t>& out) {
  const auto changes = static_cast<uint8_t>(kChanges << static_cast<uint8_t>(form));
  const bool compatible = form == Form::kNfkc || form == Form::kNfkd;
  const bool composes = form == Form::kNfc || form == Form::kNfkc;
  const uint8_t *p = text, *const end = text + bytes;
  std::vector<Symbol> symbols;
  while (p < end) {
    const uint8_t* const changed = unchangedUntil(p, end, changes);
    if (changed > p) append(p, static_cast<size_t>(changed - p), out);
    p = changed;
    if (p == end) return;
    symbols.clear();
    do {
      decompose(codeAt(p), compatible, symbols);
      p += characterBytes(*p);
    } while (p < end && (propertiesOf(codeAt(p)).flags & kStarts) == 0);
    reorder(symbols);
    if (composes) compose(symbols);
    uint8_t *const room = out.room(symbols.size() * 4 + kPadding), *to = room;
    for (const Symbol& symbol : symbols) to = writeCode(symbol.code, to);
    out.advance(static_cast<size_t>(to - room));
  }
}

size_t formBoundary(const uint8_t* text, size_t bytes) {
  for (size_t at = bytes; at > 0;) {
    at = characterBefore(text, at);
    if ((propertiesOf(codeAt(text + at)).flags & kStarts) != 0) return at;
  }
  return 0;
}

}  // namespace quipu::tokenizer

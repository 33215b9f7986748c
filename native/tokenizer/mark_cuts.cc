#include "tokenizer/mark_cuts.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace quipu::tokenizer {

MarkCuts::MarkCuts(const Tables& tables, Options options) : options_(std::move(options)) {
  cutsBehind_.fill(!options_.never);
  if (options_.never || options_.everywhere) return;
  const std::string& mark = options_.mark;
  for (uint32_t token = 0; token < tables.tokens(); ++token) {
    const auto bytes = tables.bytesOf(tables.idOf(token));
    const uint8_t *p = bytes.data() + 1, *const end = bytes.data() + bytes.size();
    while (p < end) {
      p = static_cast<const uint8_t*>(memchr(p, mark[0], static_cast<size_t>(end - p)));
      if (p == nullptr || static_cast<size_t>(end - p) < mark.size()) break;
      if (memcmp(p, mark.data(), mark.size()) == 0) cutsBehind_[p[-1]] = false;
      ++p;
    }
  }
}

size_t MarkCuts::markAt(const uint8_t* p, const uint8_t* end) const {
  if (options_.spaces && *p == ' ') return 1;
  const std::string& mark = options_.mark;
  const bool is = static_cast<size_t>(end - p) >= mark.size() && memcmp(p, mark.data(), mark.size()) == 0;
  return is ? mark.size() : 0;
}

const uint8_t* MarkCuts::pieceEnd(const uint8_t* start, const uint8_t* end) const {
  const uint8_t* p = start + 1;
  const auto first = static_cast<uint8_t>(options_.mark[0]);
  while (p < end) {
#if defined(__SSE2__)
    if (end - p >= 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
      __m128i found = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(static_cast<char>(first)));
      if (options_.spaces) found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')));
      const auto places = static_cast<uint32_t>(_mm_movemask_epi8(found));
      if (places == 0) {
        p += 16;
        continue;
      }
      p += std::countr_zero(places);
    }
#endif
    if ((*p == first || *p == ' ') && cutsBehind(p[-1]) && markAt(p, end) != 0) return p;
    ++p;
  }
  return end;
}

const uint8_t* MarkCuts::lastCut(const uint8_t* start, const uint8_t* end) const {
  for (const uint8_t* p = end; --p > start;) {
    if (cutsBehind(p[-1]) && markAt(p, end) != 0) return p;
  }
  return start;
}

}  // namespace quipu::tokenizer

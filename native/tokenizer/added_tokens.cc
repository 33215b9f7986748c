#include "tokenizer/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

bool isAt(const uint8_t* text, size_t at, uint8_t classes) { return (characterAt(text + at).classes & classes) != 0; }

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    const std::string& text = tokens_[i].text;
    if (text.empty()) continue;
    Pass& pass = tokens_[i].normalized ? normalized_ : raw_;
    pass.sorted.push_back(i);
    const auto first = static_cast<uint8_t>(text[0]);
    pass.first[first] = true;
    pass.only = pass.sorted.size() == 1 || pass.only == first ? first : -1;
    longest_ = std::max(longest_, text.size());
  }
  // Of the same text the last counts, so it comes first.
  for (Pass* pass : {&raw_, &normalized_}) {
    std::sort(pass->sorted.begin(), pass->sorted.end(), [&](uint32_t a, uint32_t b) {
      const int order = tokens_[a].text.compare(tokens_[b].text);
      return order < 0 || (order == 0 && a > b);
    });
  }
}

bool AddedTokens::next(const Pass& pass, const uint8_t* text, size_t from, size_t to, Found& found) const {
  if (pass.sorted.empty()) return false;
  for (size_t start = from; start < to; ++start) {
    if (pass.only >= 0) {
      const void* const first = memchr(text + start, pass.only, to - start);
      if (first == nullptr) return false;
      start = static_cast<size_t>(static_cast<const uint8_t*>(first) - text);
    }
    if (!pass.first[text[start]]) continue;
    // The tokens that agree so far are a range of the sorted list, which narrows with each byte.
    auto low = pass.sorted.begin(), high = pass.sorted.end();
    bool any = false;
    for (size_t depth = 0; start + depth < to; ++depth) {
      const uint8_t byte = text[start + depth];
      const auto byteOf = [&](uint32_t token) {
        return depth < tokens_[token].text.size() ? static_cast<uint8_t>(tokens_[token].text[depth]) : -1;
      };
      low = std::partition_point(low, high, [&](uint32_t token) { return byteOf(token) < byte; });
      high = std::partition_point(low, high, [&](uint32_t token) { return byteOf(token) <= byte; });
      if (low == high) break;
      if (tokens_[*low].text.size() == depth + 1) {
        found = {start, start + depth + 1, *low};
        any = true;
      }
    }
    if (any) return true;
  }
  return false;
}

void AddedTokens::splitPass(const Pass& pass, const uint8_t* text, size_t from, size_t to, uint8_t classesBefore,
                            const std::vector<uint8_t>& allowed, const Each& each) const {
  size_t done = from, at = from;
  Found found;
  while (next(pass, text, at, to, found)) {
    at = found.end;
    const AddedToken& token = tokens_[found.token];
    if (!allowed[found.token]) continue;
    if (token.singleWord) {
      const bool before =
          found.start > from ? isAt(text, characterBefore(text, found.start), kWord) : (classesBefore & kWord) != 0;
      const bool after = found.end < to && isAt(text, found.end, kWord);
      if (before || after) continue;
    }
    size_t start = found.start, end = found.end;
    if (token.stripLeft) {
      while (start > done && isAt(text, characterBefore(text, start), kSpace)) start = characterBefore(text, start);
    }
    if (token.stripRight) {
      while (end < to && isAt(text, end, kSpace)) end += characterAt(text + end).bytes;
    }
    if (start > done) each({done, start, Segment::kText});
    each({start, end, found.token});
    done = end;
  }
  if (done < to) each({done, to, Segment::kText});
}

void AddedTokens::split(const uint8_t* text, size_t bytes, const std::vector<uint8_t>& allowed, const Each& each,
                        Before before) const {
  if (bytes > 0 && (allowed.empty() || memchr(allowed.data(), 1, allowed.size()) == nullptr)) {
    return each({0, bytes, Segment::kText});
  }
  splitPass(raw_, text, 0, bytes, before.raw, allowed, [&](const Segment& segment) {
    if (segment.token != Segment::kText || normalized_.sorted.empty()) return each(segment);
    splitPass(normalized_, text, segment.start, segment.end, segment.start == 0 ? before.normalized : 0, allowed, each);
  });
}

size_t AddedTokens::unfinished(const uint8_t* text, size_t bytes, const std::vector<uint8_t>& allowed) const {
  size_t at = bytes;
  // The beginning of a token, or all of it: a longer one may begin so.
  for (size_t start = bytes > longest_ ? bytes - longest_ : 0; start < at; ++start) {
    if (!raw_.first[text[start]] && !normalized_.first[text[start]]) continue;
    const size_t length = bytes - start;
    const bool begins = std::any_of(tokens_.begin(), tokens_.end(), [&](const AddedToken& token) {
      return length <= token.text.size() && memcmp(text + start, token.text.data(), length) == 0;
    });
    if (begins) at = start;
  }
  bool looksAround = false;
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    looksAround = looksAround || (allowed[i] && (token.stripLeft || token.stripRight || token.singleWord));
  }
  if (!looksAround) return at;
  // White space may yet belong to a token before or after it, and what follows a word decides about it.
  const auto beforeSpace = [&](size_t end) {
    while (end > 0 && isAt(text, characterBefore(text, end), kSpace)) end = characterBefore(text, end);
    return end;
  };
  at = beforeSpace(at);
  for (const AddedToken& token : tokens_) {
    const size_t size = token.text.size();
    if (size > 0 && size <= at && memcmp(text + at - size, token.text.data(), size) == 0) return beforeSpace(at - size);
  }
  return at;
}

}  // namespace quipu::tokenizer

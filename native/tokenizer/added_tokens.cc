#include "tokenizer/added_tokens.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "tokenizer/unicode.h"

namespace quipu::tokenizer {

namespace {

bool isAt(const uint8_t* text, size_t at, uint8_t classes) { return (characterAt(text + at).classes & classes) != 0; }

// Where the white space begins that ends at `end`, at `least` or behind it.
size_t beforeSpace(const uint8_t* text, size_t end, size_t least) {
  while (end > least && isAt(text, characterBefore(text, end), kSpace)) end = characterBefore(text, end);
  return end;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer) : tokens_(std::move(tokens)) {
  std::unordered_map<std::string_view, uint32_t> last;  // of several with the same text the last counts
  for (uint32_t i = 0; i < tokens_.size(); ++i) last[tokens_[i].text] = i;
  for (uint32_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    const std::string& text = texts_.emplace_back(token.normalized ? normalizer.apply(token.text) : token.text);
    if (text.empty() || last[token.text] != i) continue;
    Tokens& pass = passes_[token.normalized ? kNormalized : kRaw];
    pass.sorted.push_back(i);
    const auto first = static_cast<uint8_t>(text[0]);
    pass.first[first] = true;
    pass.only = pass.sorted.size() == 1 || pass.only == first ? first : -1;
  }
  // Different texts may be the same when they are normalized: then the first counts, of special ones before others.
  for (Tokens& pass : passes_) {
    std::sort(pass.sorted.begin(), pass.sorted.end(), [&](uint32_t a, uint32_t b) {
      return std::tuple(std::string_view(texts_[a]), !tokens_[a].special, a) <
             std::tuple(std::string_view(texts_[b]), !tokens_[b].special, b);
    });
  }
}

bool AddedTokens::next(const Tokens& tokens, const Scan& scan, size_t from, Found& found) const {
  if (tokens.sorted.empty()) return false;
  const uint8_t* const text = scan.text;
  const size_t to = scan.bytes;
  for (size_t start = from; start < to; ++start) {
    if (tokens.only >= 0) {
      const void* const first = memchr(text + start, tokens.only, to - start);
      if (first == nullptr) return false;
      start = static_cast<size_t>(static_cast<const uint8_t*>(first) - text);
    }
    if (!tokens.first[text[start]]) continue;
    // The tokens that agree so far are a range of the sorted list, which narrows with each byte.
    auto low = tokens.sorted.begin(), high = tokens.sorted.end();
    bool any = false;
    found.open = false;
    for (size_t depth = 0; start + depth < to; ++depth) {
      const uint8_t byte = text[start + depth];
      const auto byteOf = [&](uint32_t token) {
        return depth < texts_[token].size() ? static_cast<uint8_t>(texts_[token][depth]) : -1;
      };
      low = std::partition_point(low, high, [&](uint32_t token) { return byteOf(token) < byte; });
      high = std::partition_point(low, high, [&](uint32_t token) { return byteOf(token) <= byte; });
      if (low == high) break;
      if (texts_[*low].size() == depth + 1) {
        found = {start, start + depth + 1, *low, false};
        any = true;
      }
      const bool isLast = start + depth + 1 == to;
      if (isLast && scan.goesOn && texts_[*(high - 1)].size() > depth + 1) found = {start, to, *low, true};
    }
    if (any || found.open) return true;
  }
  return false;
}

size_t AddedTokens::split(Pass pass, const Scan& scan, std::span<const uint8_t> allowed, Each each) const {
  const Tokens& tokens = passes_[pass];
  const auto& [text, bytes, goesOn, before, from] = scan;
  size_t done = 0, at = from;
  size_t spaceEnd = 0;  // of the white space that a token took last: others may begin in it and take the rest too
  bool open = false;
  // Of text that goes on: a token that has taken the white space behind it is not decided before those are that begin
  // in that white space.
  std::vector<Segment> undecided;
  size_t undecidedAt = from, decidedDone = 0;
  const auto decide = [&] {
    for (const Segment& segment : undecided) each(segment);
    undecided.clear();
  };
  const auto give = [&](const Segment& segment) {
    if (!goesOn) return each(segment);
    undecided.push_back(segment);
  };
  const bool any = !tokens.sorted.empty() && memchr(allowed.data(), 1, allowed.size()) != nullptr;
  for (Found found; any && next(tokens, scan, at, found); at = found.end) {
    const AddedToken& token = tokens_[found.token];
    size_t start = found.start, end = found.end;
    if (start >= done) {
      decide();
      undecidedAt = start;
      decidedDone = done;
    }
    open = found.open;
    if (!open && !allowed[found.token]) continue;
    if (!open && token.stripRight) {
      if (end >= spaceEnd) {
        spaceEnd = end;
        while (spaceEnd < bytes && isAt(text, spaceEnd, kSpace)) spaceEnd += characterAt(text + spaceEnd).bytes;
      }
      end = spaceEnd;
    }
    open = open || (goesOn && end == bytes && (token.stripRight || token.singleWord));
    if (open) {
      undecided.clear();
      at = undecidedAt;
      done = decidedDone;
      break;
    }
    if (token.singleWord) {
      const bool wordBefore = start > 0 ? isAt(text, characterBefore(text, start), kWord) : (before & kWord) != 0;
      if (wordBefore || (found.end < bytes && isAt(text, found.end, kWord))) continue;
    }
    if (token.stripLeft) {
      start = std::max(done, beforeSpace(text, start, std::min(done, start)));
      if (end <= start) continue;  // all of it is white space that another has taken
    }
    if (start > done) give({done, start, Segment::kText});
    give({start, end, found.token});
    done = end;
  }
  decide();
  if (!goesOn) {
    if (done < bytes) each({done, bytes, Segment::kText});
    return bytes;
  }
  // White space may yet belong to a token behind it.
  size_t settled = open ? at : bytes;
  const auto strips = [&](uint32_t i) { return allowed[i] && tokens_[i].stripLeft; };
  if (any && std::any_of(tokens.sorted.begin(), tokens.sorted.end(), strips)) {
    settled = beforeSpace(text, settled, std::min(done, settled));
  }
  if (done < settled) each({done, settled, Segment::kOpenText});
  return open ? at : bytes;
}

}  // namespace quipu::tokenizer

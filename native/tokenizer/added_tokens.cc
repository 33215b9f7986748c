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
  std::vector<std::string> texts;  // by which they are found
  for (const AddedToken& token : tokens_) {
    const bool isSought = token.normalized && !token.sought;
    texts.push_back(isSought ? normalizer.apply(token.text) : token.sought.value_or(token.text));
  }
  for (const Pass pass : {kRaw, kNormalized}) {
    std::vector<std::pair<std::string_view, uint32_t>> sorted;
    for (uint32_t i = 0; i < tokens_.size(); ++i) {
      const AddedToken& token = tokens_[i];
      if (token.normalized != (pass == kNormalized) || texts[i].empty() || last[token.text] != i) continue;
      sorted.emplace_back(texts[i], i);
      if (token.stripLeft) stripLeft_[pass].push_back(i);
    }
    // Different texts may be the same when they are normalized: then the first counts, of special ones before others.
    std::sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) {
      return std::tuple(a.first, !tokens_[a.second].special, a.second) <
             std::tuple(b.first, !tokens_[b.second].special, b.second);
    });
    finders_[pass] = TokenFinder(sorted);
  }
}

size_t AddedTokens::split(Pass pass, const Scan& scan, std::span<const uint8_t> allowed, Each each) const {
  const auto& [text, bytes, goesOn, before, from] = scan;
  size_t done = 0;
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
  const bool any = !isEmpty(pass) && memchr(allowed.data(), 1, allowed.size()) != nullptr;
  TokenFinder::Scan finder(finders_[pass], text, from, bytes, goesOn);
  for (TokenFinder::Found found; any && finder.next(found);) {
    size_t start = found.start, end = found.end;
    if (start >= done) {
      decide();
      undecidedAt = start;
      decidedDone = done;
    }
    if (!found.open && !allowed[found.token]) continue;
    if (!found.open && tokens_[found.token].stripRight) {
      if (end >= spaceEnd) {
        spaceEnd = end;
        while (spaceEnd < bytes && isAt(text, spaceEnd, kSpace)) spaceEnd += characterAt(text + spaceEnd).bytes;
      }
      end = spaceEnd;
    }
    const auto mayGoOn = [](const AddedToken& token) { return token.stripRight || token.singleWord; };
    open = found.open || (goesOn && end == bytes && mayGoOn(tokens_[found.token]));
    if (open) {
      undecided.clear();
      done = decidedDone;
      break;
    }
    const AddedToken& token = tokens_[found.token];
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
  const size_t next = open ? undecidedAt : bytes;
  size_t settled = next;
  if (std::any_of(stripLeft_[pass].begin(), stripLeft_[pass].end(), [&](uint32_t i) { return allowed[i] != 0; })) {
    settled = beforeSpace(text, settled, std::min(done, settled));
  }
  if (done < settled) each({done, settled, Segment::kOpenText});
  return next;
}

}  // namespace quipu::tokenizer

#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>

#include "tokenizer/hash.h"

namespace quipu::tokenizer {

namespace {

constexpr uint32_t kEmpty = ~0u;  // above all that is known
constexpr size_t kMaxHistoryLeft = 63;
constexpr size_t kStepsUnwatched = 1 << 16;  // of a long piece: some milliseconds

// Bits below `bit` < 64.
uint64_t below(size_t bit) { return (uint64_t{1} << bit) - 1; }

}  // namespace

Bpe::Bpe(const Tables& tables)
    : tables_(tables),
      matches_(tables),
      tokenBits_(static_cast<uint32_t>(std::bit_width(tables.tokens()))),
      knownBits_(std::max(kKnownBits + kMostTagBits, 2 * tokenBits_) - kMostTagBits),
      known_(size_t{1} << knownBits_, kEmpty),
      history_(tables.tokens()) {
  for (uint32_t id = 0; id < tables.vocabSize(); ++id) longest_ = std::max(longest_, tables.bytesOf(id).size());
}

size_t Bpe::encode(const uint8_t* p, size_t bytes, bool whole, uint32_t* out) {
  const bool isShort = bytes <= TokenMatches::kMostBytes;
  const size_t count = isShort ? encodeShort(p, bytes, whole, out) : encodeLong(p, bytes, whole, out);
  for (size_t i = 0; i < count; ++i) out[i] = tables_.idOf(out[i]);
  return count;
}

size_t Bpe::encodeShort(const uint8_t* p, size_t bytes, bool whole, uint32_t* out) {
  matches_.begin(p, bytes);
  const auto tokenAt = [this](size_t start, size_t end) { return matches_.tokenAt(start, end); };
  uint8_t starts[TokenMatches::kMostBytes];
  uint64_t dead = 0, ends = matches_.endsFrom(0);
  if (whole && (ends >> bytes & 1)) {
    *out = matches_.token(0, bytes);
    return 1;
  }
  size_t count = 0, at = 0;
  for (;;) {
    if (ends == 0) {
      if (count == 0) return 0;
      dead |= uint64_t{1} << at;
      const size_t end = at;
      at = starts[--count];
      ends = matches_.endsFrom(at) & below(end) & ~dead;
      continue;
    }
    const auto end = static_cast<size_t>(63 - std::countl_zero(ends));
    ends ^= uint64_t{1} << end;
    const uint32_t token = matches_.token(at, end);
    const bool fit =
        count == 0 ? encodesItself(token) : fits(out[count - 1], token, {p, starts[count - 1], at, end}, tokenAt);
    if (!fit) continue;
    out[count] = token;
    starts[count++] = static_cast<uint8_t>(at);
    if (end == bytes) return count;
    at = end;
    ends = matches_.endsFrom(at) & ~dead;
  }
}

// Where the text goes on as it did since a token that is the last one too, so do its tokens, and all that is tried on
// the way: the pairs are the same, as far as the bytes are that were looked at. They are those before `farthest` and
// the longest token's behind it, and in each repeat those one period on; so `farthest` goes along. Without this, each
// place of a long run of a character tries every length of tokens of it.
void Bpe::repeatCycle(Progress& progress) const {
  auto& [piece, out, count, at, farthest, differences] = progress;
  const size_t seen = farthest + longest_;
  if (seen > at + Progress::kMostCycle * longest_) return;  // else looking for the same again could take the square
  size_t period = 0;
  for (size_t cycle = 1; cycle <= Progress::kMostCycle && cycle < count; ++cycle) {
    period += tables_.bytesOf(tables_.idOf(out[count - cycle])).size();
    if (out[count - 1 - cycle] != out[count - 1]) continue;
    auto& [knownPeriod, same] = differences[cycle];
    if (knownPeriod != period || same < at) {
      knownPeriod = period;
      same = at;
      while (same < piece.size() && piece[same] == piece[same - period]) ++same;
    }
    if (same < seen + period) continue;
    const size_t repeats = (same - seen) / period, added = repeats * cycle;
    for (size_t i = 0; i < added; ++i) out[count + i] = out[count + i - cycle];
    count += added;
    at += repeats * period;
    farthest += repeats * period;
    return;
  }
}

size_t Bpe::encodeLong(const uint8_t* p, size_t bytes, bool whole, uint32_t* out) {
  const auto tokenAt = [this, p](size_t start, size_t end) { return tables_.find(p + start, end - start); };
  const auto lookAt = [this, p](size_t at, size_t limit) {
    untried_.clear();
    tables_.eachAt(p + at, limit, [this](Tables::Match match) { untried_.push_back(match); });
  };
  lookAt(0, bytes);
  if (!untried_.empty() && untried_.back().bytes == bytes && (whole || encodesItself(untried_.back().token))) {
    *out = untried_.back().token;
    return 1;
  }
  dead_.assign(bytes / 64 + 1, 0);
  Progress progress{{p, bytes}, out};
  auto& [piece, tokens, count, at, farthest, differences] = progress;
  const auto lastBytes = [&] { return tables_.bytesOf(tables_.idOf(out[count - 1])).size(); };
  for (size_t steps = 1;; ++steps) {
    if (steps % kStepsUnwatched == 0 && stop_ != nullptr && stop_->load(std::memory_order_relaxed)) break;
    if (untried_.empty()) {
      if (count == 0) break;
      dead_[at / 64] |= 1ull << at % 64;
      const size_t last = lastBytes();
      --count;
      at -= last;
      lookAt(at, last - 1);
      continue;
    }
    const Tables::Match next = untried_.back();
    untried_.pop_back();
    const size_t end = at + next.bytes;
    if ((dead_[end / 64] >> end % 64 & 1) != 0) continue;
    if (count == 0 ? !encodesItself(next.token)
                   : !fits(out[count - 1], next.token, {p, at - lastBytes(), at, end}, tokenAt)) {
      continue;
    }
    out[count++] = next.token;
    at = end;
    if (at == bytes) break;
    farthest = std::max(farthest, at);
    repeatCycle(progress);
    lookAt(at, bytes - at);
  }
  return count;
}

// A pair is a number, which a permutation of the numbers of as many bits mixes: its lower bits are a place, the others
// tell apart all that come there.
template <typename TokenAt>
bool Bpe::fits(uint32_t a, uint32_t b, const Pair& pair, TokenAt tokenAt) {
  uint64_t mixed = static_cast<uint64_t>(a) << tokenBits_ | b;
  mixed = (mixed ^ mixed >> tokenBits_) * 0x9e3779b97f4a7c15 & below(2 * tokenBits_);
  mixed ^= mixed >> tokenBits_;
  uint32_t& known = known_[mixed & below(knownBits_)];
  const auto tag = static_cast<uint32_t>(mixed >> knownBits_);
  if (known >> 1 != tag) {
    bool fit = encodesItself(b);
    if (fit) {
      const bool ordered = history_[a].kind == History::kOrdered && history_[b].kind == History::kOrdered;
      fit = !(ordered ? crosses(a, b, pair, tokenAt) : crossesAnyOrder(pair));
    }
    known = tag << 1 | static_cast<uint32_t>(fit);
  }
  return (known & 1) != 0;
}

// Where each token's merges happen in the order of their priorities, the merges of both are undone from the last on.
// The symbols at the boundary would have merged if their pair comes before the merge undone last; of equal priorities
// the one further left comes first.
template <typename TokenAt>
bool Bpe::crosses(uint32_t a, uint32_t b, Pair pair, TokenAt tokenAt) const {
  uint32_t limit = kNever;
  for (;;) {
    const auto& [piece, start, boundary, end] = pair;
    const uint32_t merged = tokenAt(start, end);
    if (merged != kNoToken && tables_.priorityOf(merged, boundary - start, end - start) < limit) return true;
    const History left = history_[a], right = history_[b];
    if (left.time == 0 && right.time == 0) return false;
    if (left.time > right.time) {
      limit = left.time - 1;
      pair.start += left.leftBytes;
      a = tokenAt(start, boundary);
    } else {
      limit = right.time;
      pair.end = boundary + right.leftBytes;
      b = tokenAt(boundary, end);
    }
  }
}

// Plain merging of both tokens' bytes, until something merges across the boundary.
bool Bpe::crossesAnyOrder(const Pair& pair) {
  bool crossed = false;
  mergeAll(pair.piece + pair.start, pair.end - pair.start, [&](size_t, size_t middle, uint32_t, uint32_t) {
    crossed = crossed || pair.start + middle == pair.boundary;
    return !crossed;
  });
  return crossed;
}

// The parts that the bytes pass through are encodings of their own bytes, by the same merges.
void Bpe::learn(uint32_t token) {
  const auto bytes = tables_.bytesOf(tables_.idOf(token));
  if (bytes.size() == unitBytes(bytes.data())) {
    history_[token] = {0, 0, History::kOrdered};
    return;
  }
  for (size_t at = 0, size; at < bytes.size(); at += size) {
    size = unitBytes(bytes.data() + at);
    const uint32_t symbol = tables_.characterToken(bytes.data() + at, size);
    if (symbol == kNoToken) {
      history_[token] = {0, 0, History::kOther};
      return;
    }
    history_[symbol] = {0, 0, History::kOrdered};
  }
  const size_t count =
      mergeAll(bytes.data(), bytes.size(), [&](size_t i, size_t middle, uint32_t priority, uint32_t merged) {
        const History left = history_[symbols_.tokens[i]], right = history_[symbols_.tokens[i + 1]];
        const uint32_t time = priority + 1;
        const size_t leftBytes = middle - symbols_.starts[i];
        const bool ordered = left.kind == History::kOrdered && right.kind == History::kOrdered && time > left.time &&
                             time > right.time && leftBytes <= kMaxHistoryLeft;
        history_[merged] = ordered ? History{time, static_cast<uint32_t>(leftBytes), History::kOrdered}
                                   : History{0, 0, History::kMixed};
        return true;
      });
  if (count != 1 || symbols_.tokens[0] != token) history_[token] = {0, 0, History::kOther};
}

// Merges p[0, bytes), all units of which are tokens, and returns how many symbols are left. Calls `each(i, middle,
// priority, merged)` before the symbols i and i + 1, which meet at the byte `middle`, merge; false ends it.
template <typename Each>
size_t Bpe::mergeAll(const uint8_t* p, size_t bytes, Each each) {
  auto& [starts, tokens, priorities, results] = symbols_;
  starts.resize(bytes + 1);
  tokens.resize(bytes);
  priorities.resize(bytes);
  results.resize(bytes);
  size_t count = 0;
  for (size_t at = 0, size; at < bytes; at += size) {
    size = unitBytes(p + at);
    starts[count] = static_cast<uint32_t>(at);
    tokens[count++] = tables_.characterToken(p + at, size);
  }
  starts[count] = static_cast<uint32_t>(bytes);
  const auto update = [&](size_t i) {
    results[i] = tables_.find(p + starts[i], starts[i + 2] - starts[i]);
    priorities[i] = results[i] == kNoToken
                        ? kNever
                        : tables_.priorityOf(results[i], starts[i + 1] - starts[i], starts[i + 2] - starts[i]);
  };
  for (size_t i = 0; i + 1 < count; ++i) update(i);
  while (count > 1) {
    const auto first = priorities.begin();
    const auto best = std::min_element(first, first + static_cast<ptrdiff_t>(count - 1));
    if (*best == kNever) break;
    const auto i = static_cast<size_t>(best - first);
    if (!each(i, starts[i + 1], *best, results[i])) break;
    tokens[i] = results[i];
    const auto drop = [](auto& list, size_t at, size_t size) {
      std::copy(list.begin() + static_cast<ptrdiff_t>(at + 1), list.begin() + static_cast<ptrdiff_t>(size),
                list.begin() + static_cast<ptrdiff_t>(at));
    };
    drop(starts, i + 1, count + 1);
    drop(tokens, i + 1, count);
    drop(priorities, i, count - 1);
    drop(results, i, count - 1);
    --count;
    if (i + 1 < count) update(i);
    if (i > 0) update(i - 1);
  }
  return count;
}

}  // namespace quipu::tokenizer

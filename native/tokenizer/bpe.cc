#include "tokenizer/bpe.h"

#include <algorithm>

#include "tokenizer/hash.h"

namespace quipu::tokenizer {

namespace {

constexpr size_t kKnownPairs = 1 << 17;
constexpr uint64_t kEmpty = ~0ull;
constexpr uint32_t kNever = 0xffffffff;  // the priority of a pair that does not merge

}  // namespace

Bpe::Bpe(const Tables& tables) : tables_(tables), known_(kKnownPairs, kEmpty), history_(tables.vocabSize()) {}

size_t Bpe::encode(const uint8_t* p, size_t bytes, bool whole, uint32_t* out) {
  Tables::Match next = tables_.longest(p, bytes);
  if (next.bytes == bytes && (whole || encodesItself(next.token))) {
    *out = next.token;
    return 1;
  }
  dead_.assign(bytes / 64 + 1, 0);
  size_t count = 0, at = 0;
  while (next.token != kNoToken) {
    const size_t end = at + next.bytes;
    const bool live = (dead_[end / 64] >> end % 64 & 1) == 0;
    if (live && (count == 0 ? encodesItself(next.token) : fits(out[count - 1], next.token, p + at))) {
      out[count++] = next.token;
      at = end;
      if (at == bytes) break;
      next = tables_.longest(p + at, bytes - at);
      continue;
    }
    next = tables_.longest(p + at, next.bytes - 1);
    if (next.token == kNoToken && count > 0) {
      dead_[at / 64] |= 1ull << at % 64;
      next = {out[--count], static_cast<uint32_t>(lengthOf(out[count]))};
      at -= next.bytes;
    }
  }
  return count;
}

bool Bpe::fits(uint32_t a, uint32_t b, const uint8_t* boundary) {
  const uint64_t key = static_cast<uint64_t>(a) << 25 | static_cast<uint64_t>(b) << 1;
  uint64_t& known = known_[mixed(a, b) & (kKnownPairs - 1)];
  if ((known & ~1ull) != key) {
    const uint32_t kinds[] = {historyOf(a).kind, historyOf(b).kind};
    bool fit = kinds[0] != History::kOther && kinds[1] != History::kOther;
    if (fit) {
      const bool ordered = kinds[0] == History::kOrdered && kinds[1] == History::kOrdered;
      fit = !(ordered ? crosses(a, b, boundary) : crossesAnyOrder(a, b, boundary));
    }
    known = key | (fit ? 1 : 0);
  }
  return (known & 1) != 0;
}

MergeResult Bpe::mergeOf(uint32_t left, const uint8_t* start, size_t bytes) const {
  MergeResult result = tables_.mergeOf(left, start, bytes);
  if (result.merged == kNoToken) result.priority = kNever;
  return result;
}

// Where each token's merges happen in the order of their priorities, the merges of both are undone from the last on.
// The symbols at the boundary would have merged if their pair comes before the merge undone last; of equal priorities
// the one further left comes first.
bool Bpe::crosses(uint32_t a, uint32_t b, const uint8_t* boundary) {
  uint32_t limit = kNever;
  for (;;) {
    const size_t before = lengthOf(a), after = lengthOf(b);
    if (mergeOf(a, boundary - before, before + after).priority < limit) return true;
    const History &left = history_[a], &right = history_[b];
    if (left.time == 0 && right.time == 0) return false;
    if (left.time > right.time) {
      limit = left.time - 1;
      a = left.right;
    } else {
      limit = right.time;
      b = right.left;
    }
  }
}

// Plain merging of both tokens' bytes, until something merges across the boundary.
bool Bpe::crossesAnyOrder(uint32_t a, uint32_t b, const uint8_t* boundary) {
  const size_t before = lengthOf(a);
  bool crossed = false;
  mergeAll(boundary - before, before + lengthOf(b), [&](size_t, size_t middle, const MergeResult&) {
    crossed = crossed || middle == before;
    return !crossed;
  });
  return crossed;
}

const Bpe::History& Bpe::historyOf(uint32_t token) {
  if (history_[token].kind != History::kUnknown) return history_[token];
  // The parts that the bytes pass through are encodings of their own bytes, by the same merges.
  const auto bytes = tables_.bytesOf(token);
  if (bytes.size() == 1) {
    history_[token] = {kNoToken, kNoToken, 0, History::kOrdered};
    return history_[token];
  }
  for (const uint8_t byte : bytes) {
    const uint32_t symbol = tables_.byteToken(byte);
    if (symbol == kNoToken) {
      history_[token] = {kNoToken, kNoToken, 0, History::kOther};
      return history_[token];
    }
    history_[symbol] = {kNoToken, kNoToken, 0, History::kOrdered};
  }
  const size_t count = mergeAll(bytes.data(), bytes.size(), [&](size_t i, size_t, const MergeResult& result) {
    const uint32_t left = symbols_.ids[i], right = symbols_.ids[i + 1], time = result.priority + 1;
    const History &l = history_[left], &r = history_[right];
    const bool ordered = l.kind == History::kOrdered && r.kind == History::kOrdered && time > l.time && time > r.time;
    history_[result.merged] = {left, right, time, ordered ? History::kOrdered : History::kMixed};
    return true;
  });
  if (count != 1 || symbols_.ids[0] != token) history_[token] = {kNoToken, kNoToken, 0, History::kOther};
  return history_[token];
}

// Merges p[0, bytes), all of which are tokens, and returns how many symbols are left. Calls `merged(i, middle, result)`
// before the symbols i and i + 1, which meet at the byte `middle`, merge; false ends it.
template <typename Merged>
size_t Bpe::mergeAll(const uint8_t* p, size_t bytes, Merged merged) {
  auto& [starts, ids, priorities, results] = symbols_;
  size_t count = bytes;
  starts.resize(count + 1);
  ids.resize(count);
  priorities.resize(count);
  results.resize(count);
  for (size_t i = 0; i < count; ++i) {
    starts[i] = static_cast<uint32_t>(i);
    ids[i] = tables_.byteToken(p[i]);
  }
  starts[count] = static_cast<uint32_t>(count);
  const auto update = [&](size_t i) {
    const MergeResult result = mergeOf(ids[i], p + starts[i], starts[i + 2] - starts[i]);
    priorities[i] = result.priority;
    results[i] = result.merged;
  };
  for (size_t i = 0; i + 1 < count; ++i) update(i);
  while (count > 1) {
    const auto first = priorities.begin();
    const auto best = std::min_element(first, first + static_cast<ptrdiff_t>(count - 1));
    if (*best == kNever) break;
    const auto i = static_cast<size_t>(best - first);
    if (!merged(i, starts[i + 1], MergeResult{*best, results[i]})) break;
    ids[i] = results[i];
    const auto drop = [](auto& list, size_t at, size_t size) {
      std::copy(list.begin() + static_cast<ptrdiff_t>(at + 1), list.begin() + static_cast<ptrdiff_t>(size),
                list.begin() + static_cast<ptrdiff_t>(at));
    };
    drop(starts, i + 1, count + 1);
    drop(ids, i + 1, count);
    drop(priorities, i, count - 1);
    drop(results, i, count - 1);
    --count;
    if (i + 1 < count) update(i);
    if (i > 0) update(i - 1);
  }
  return count;
}

}  // namespace quipu::tokenizer

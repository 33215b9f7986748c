#include "tokenizer/bpe.h"

#include <algorithm>

namespace quipu::tokenizer {

namespace {

constexpr size_t kKnownPairs = 1 << 16;
constexpr uint64_t kEmpty = ~0ull;
constexpr uint32_t kNever = 0xffffffff;  // the priority of a pair that does not merge

}  // namespace

Bpe::Bpe(const Tables& tables) : tables_(tables), known_(kKnownPairs, kEmpty) {}

size_t Bpe::encode(const uint8_t* p, size_t bytes, uint32_t* out) {
  dead_.assign(bytes / 64 + 1, 0);
  size_t count = 0, at = 0;
  uint32_t next = tables_.longest(p, bytes);
  while (next != kNoToken) {
    const uint32_t last = count == 0 ? kNoToken : out[count - 1];
    const size_t length = lengthOf(next), end = at + length;
    if ((dead_[end / 64] >> end % 64 & 1) == 0 && fits(last, next)) {
      out[count++] = next;
      at = end;
      next = at < bytes ? tables_.longest(p + at, bytes - at) : kNoToken;
      continue;
    }
    next = tables_.longest(p + at, length - 1);
    if (next == kNoToken && count > 0) {
      dead_[at / 64] |= 1ull << at % 64;
      next = out[--count];
      at -= lengthOf(next);
    }
  }
  return count;
}

bool Bpe::fits(uint32_t a, uint32_t b) {
  const uint64_t key = static_cast<uint64_t>(a) << 25 | static_cast<uint64_t>(b) << 1;
  uint64_t& known = known_[Tables::pairHash(a, b) & (kKnownPairs - 1)];
  if ((known & ~1ull) != key || known == kEmpty) known = key | (computeFits(a, b) ? 1 : 0);
  return (known & 1) != 0;
}

MergeResult Bpe::mergeAt(size_t i) const {
  if (tables_.kind() == Tables::kMerges) return tables_.merge(ids_[i], ids_[i + 1]);
  const size_t bytes = starts_[i + 2] - starts_[i];
  if (bytes > kMaxTokenBytes) return {kNever, kNoToken};
  const uint32_t merged = tables_.find(bytes_.data() + starts_[i], bytes, bytes + kPadding);
  return {merged, merged};
}

// Plain merging of the two tokens' bytes, which ends with the first merge across the boundary.
bool Bpe::computeFits(uint32_t a, uint32_t b) {
  bytes_.clear();
  for (const uint32_t token : {a, b}) {
    if (token == kNoToken) continue;
    const auto bytes = tables_.bytesOf(token);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  const size_t boundary = a == kNoToken ? 0 : lengthOf(a);
  size_t count = bytes_.size();
  bytes_.resize(count + kPadding);
  starts_.resize(count + 1);
  ids_.resize(count);
  priorities_.resize(count);
  merged_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    starts_[i] = static_cast<uint32_t>(i);
    ids_[i] = tables_.byteToken(bytes_[i]);
  }
  starts_[count] = static_cast<uint32_t>(count);
  const auto update = [&](size_t i) {
    const MergeResult result = mergeAt(i);
    priorities_[i] = result.merged == kNoToken ? kNever : result.priority;
    merged_[i] = result.merged;
  };
  for (size_t i = 0; i + 1 < count; ++i) update(i);
  while (count > 1) {
    const auto pairs = priorities_.begin();
    const auto best = std::min_element(pairs, pairs + static_cast<ptrdiff_t>(count - 1));
    if (*best == kNever) break;
    const auto i = static_cast<size_t>(best - pairs);
    if (boundary != 0 && starts_[i + 1] == boundary) return false;
    ids_[i] = merged_[i];
    const auto drop = [&](auto& list, size_t at, size_t size) {
      std::copy(list.begin() + static_cast<ptrdiff_t>(at + 1), list.begin() + static_cast<ptrdiff_t>(size),
                list.begin() + static_cast<ptrdiff_t>(at));
    };
    drop(starts_, i + 1, count + 1);
    drop(ids_, i + 1, count);
    drop(priorities_, i, count - 1);
    drop(merged_, i, count - 1);
    --count;
    if (i + 1 < count) update(i);
    if (i > 0) update(i - 1);
  }
  return count == (a == kNoToken ? 1u : 2u);
}

}  // namespace quipu::tokenizer

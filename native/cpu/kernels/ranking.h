// Ids by descending logit, equal logits by ascending id, sorted only as far as somebody looks: most of a vocabulary is
// never among the kept ids. Our own sort: a std:: template could be shared between targets by the linker.

// A logit and its id as one number: the greater, the better. +0 and −0 are equal; NaN has no place.
QUIPU_INLINE uint64_t rankOf(float logit, uint32_t id) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, logit + 0.0f);
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t(ordered) << 32 | uint32_t(~id);
}

QUIPU_INLINE uint32_t idOf(uint64_t rank) { return ~uint32_t(rank); }

// Sinks the top of a heap whose root is the least.
static void sink(uint64_t* heap, size_t count, size_t at) {
  const uint64_t rank = heap[at];
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && heap[child + 1] < heap[child]) ++child;
    if (heap[child] >= rank) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = rank;
}

static void makeHeap(uint64_t* ranks, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sink(ranks, count, i);
}

// Makes a heap a list from the greatest to the least.
static void sortHeap(uint64_t* heap, size_t count) {
  for (size_t end = count; end > 1; --end) {
    const uint64_t least = heap[0];
    heap[0] = heap[end - 1];
    heap[end - 1] = least;
    sink(heap, end - 1, 0);
  }
}

// The k best of `count` logits, sorted; k ≤ count.
static void bestRanks(const float* logits, uint32_t count, uint32_t k, uint64_t* ranks) {
  for (uint32_t id = 0; id < k; ++id) ranks[id] = rankOf(logits[id], id);
  makeHeap(ranks, k);
  for (uint32_t first = k; first < count; first += 16) {
    const uint32_t n = count - first < 16 ? count - first : 16;
    const m16 hopeful = lessEqual(broadcast(logits[idOf(ranks[0])]), loadPart(logits + first, n));
    for (uint32_t left = bits(both(hopeful, firstLanes(n))); left != 0; left &= left - 1) {
      const uint32_t id = first + uint32_t(__builtin_ctz(left));
      const uint64_t rank = rankOf(logits[id], id);
      if (rank <= ranks[0]) continue;
      ranks[0] = rank;
      sink(ranks, k, 0);
    }
  }
  sortHeap(ranks, k);
}

// The ids that may be kept, spread by their distance to the greatest logit into bins of 1/32, the bins sorted as they
// are reached.
class Ranking {
 public:
  static constexpr uint32_t kBins = 2048;  // 64 units of logit; what is further off shares the last bin

  static size_t bytes(size_t count) { return count * sizeof(uint64_t) + (kBins + 1) * sizeof(uint32_t); }

  // Of the ids whose weight is at least `least`: all that come before one of them are among them, too.
  Ranking(std::byte* memory, const float* logits, uint32_t count, float greatest, const float* weights, float least)
      : ranks_(reinterpret_cast<uint64_t*>(memory)), ends_(reinterpret_cast<uint32_t*>(ranks_ + count)) {
    for (uint32_t bin = 0; bin <= kBins; ++bin) ends_[bin] = 0;
    const auto forEach = [=](auto take) {
      for (uint32_t first = 0; first < count; first += 16) {
        const uint32_t n = count - first < 16 ? count - first : 16;
        const m16 enough = lessEqual(broadcast(least), loadPart(weights + first, n));
        for (uint32_t left = bits(both(enough, firstLanes(n))); left != 0; left &= left - 1) {
          take(first + uint32_t(__builtin_ctz(left)));
        }
      }
    };
    forEach([&](uint32_t id) { ++ends_[binOf(logits[id], greatest) + 1]; });
    for (uint32_t bin = 1; bin <= kBins; ++bin) ends_[bin] += ends_[bin - 1];
    size_ = ends_[kBins];
    // ends_[bin] is where the bin begins now, and where it ends when its ids are in.
    forEach([&](uint32_t id) { ranks_[ends_[binOf(logits[id], greatest)]++] = rankOf(logits[id], id); });
  }

  // Of the k best of all.
  Ranking(std::byte* memory, const float* logits, uint32_t count, uint32_t k)
      : ranks_(reinterpret_cast<uint64_t*>(memory)), ends_(nullptr), size_(k), sorted_(k) {
    bestRanks(logits, count, k, ranks_);
  }

  uint32_t size() const { return size_; }

  // The id of this rank, 0 being the best. Ranks are asked for in ascending order, from 0, or again.
  uint32_t operator[](uint32_t rank) {
    for (; rank >= sorted_; ++bin_) {
      const uint32_t end = ends_[bin_];
      makeHeap(ranks_ + sorted_, end - sorted_);
      sortHeap(ranks_ + sorted_, end - sorted_);
      sorted_ = end;
    }
    return idOf(ranks_[rank]);
  }

 private:
  static uint32_t binOf(float logit, float greatest) {
    const float distance = (greatest - logit) * 32.0f;
    return distance < float(kBins - 1) ? uint32_t(distance) : kBins - 1;
  }

  uint64_t* ranks_;
  uint32_t* ends_;
  uint32_t size_;
  uint32_t sorted_ = 0;
  uint32_t bin_ = 0;
};

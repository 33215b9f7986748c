// The ranking of a vocabulary, by descending logit, equal logits by ascending id: where it is cut, without sorting it.
// Bound by one scattered addition for every id that the cut may fall on: 0.8 ns each.

// A logit as a number in the same order. +0 and −0 are equal; NaN has no place.
QUIPU_INLINE uint32_t keyOf(float logit) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, logit);
  return bits & 0x80000000u ? 0u - bits : bits ^ 0x80000000u;
}

QUIPU_INLINE float logitOf(uint32_t key) {
  return __builtin_bit_cast(float, key & 0x80000000u ? key ^ 0x80000000u : 0u - key);
}

// A beginning of the ranking: all logits above this one, and those equal to it up to the id `last`.
struct Cut {
  float logit;
  uint32_t last;
};

// Those of the ids first … first + 15 that are before the cut; v are their logits.
QUIPU_INLINE m16 beforeCut(const Cut& cut, f32x16 v, size_t first) {
  const m16 greater = less(broadcast(cut.logit), v);
  if (cut.last < first) return greater;
  const m16 small = firstLanes(cut.last - first < 16 ? cut.last - first + 1 : 16);
  return either(greater, both(small, equal(v, broadcast(cut.logit))));
}

// What is ranked, and by what a rank counts.
struct Ranked {
  const float* logits;
  const float* blockGreatest;  // of each block of kSampleBlock; null: not known
  const float* weights;        // null: every id counts as 1; else as its weight · scale, to the nearest whole number
  float scale;
  uint32_t count;
};

// Calls take(i, n, v, inside) for the logits v of ids i … i + n − 1 where some of them, `inside`, lie in [low, high],
// until one call returns false.
template <typename F>
QUIPU_INLINE void forEachInside(const Ranked& ranked, float low, float high, F take) {
  for (size_t block = 0; block < blocksOf(ranked.count); ++block) {
    if (ranked.blockGreatest != nullptr && ranked.blockGreatest[block] < low) continue;
    const size_t first = block * kSampleBlock;
    const size_t end = first + kSampleBlock < ranked.count ? first + kSampleBlock : ranked.count;
    for (size_t i = first; i < end; i += 16) {
      const size_t n = end - i < 16 ? end - i : 16;
      const f32x16 v = loadFirst(ranked.logits + i, n);
      uint32_t inside = bits(both(lessEqual(broadcast(low), v), lessEqual(v, broadcast(high))));
      if (n < 16) inside &= bits(firstLanes(n));
      if (inside != 0 && !take(i, n, inside)) return;
    }
  }
}

// Finds cuts by bins of equal leading bits, at most four levels of them: what is in the bin that the cut falls on is
// spread again by the bits that follow.
class CutSearch {
 public:
  // 32 kB of bins; 9 to 11 bits and 2 to 8 copies are within a tenth of each other (Zen 5), 8 bits a quarter slower.
  static constexpr uint32_t kBinBits = 10;
  static constexpr size_t kBins = size_t(1) << kBinBits;
  // Neighbouring ids add to bins of their own: in one and the same bin an addition may have to wait for the one before.
  static constexpr size_t kCopies = 4;
  static constexpr size_t kBytes = kBins * kCopies * sizeof(uint64_t);

  explicit CutSearch(uint64_t* bins) : bins_(bins) {}

  // The shortest beginning that counts `need` ≥ 1 or more, of the logits of [low, high]; all of them where none does.
  Cut find(const Ranked& ranked, float low, float high, uint64_t need) {
    uint32_t bottom = keyOf(low), top = keyOf(high);
    while (bottom < top) {
      const uint32_t bits = 32 - uint32_t(__builtin_clz(top - bottom)), shift = bits > kBinBits ? bits - kBinBits : 0;
      fill(ranked, bottom, top, shift);
      const uint32_t lastBin = (top - bottom) >> shift;
      uint32_t bin = 0;
      for (uint64_t counted; bin < lastBin && (counted = countOf(bin)) < need; ++bin) need -= counted;
      top -= bin << shift;
      if (const uint32_t width = (uint32_t(1) << shift) - 1; top - bottom > width) bottom = top - width;
    }
    return {logitOf(top), lastOf(ranked, logitOf(top), need)};
  }

 private:
  uint64_t countOf(uint32_t bin) const {
    const uint64_t* copies = bins_ + bin * kCopies;
    return (copies[0] + copies[1]) + (copies[2] + copies[3]);
  }

  // Counts the logits of [bottom, top] into bins, the greatest in the first.
  void fill(const Ranked& ranked, uint32_t bottom, uint32_t top, uint32_t shift) {
    for (size_t i = 0; i < kBins * kCopies; ++i) bins_[i] = 0;
    uint32_t bin[kSampleBlock];
    uint64_t counts[kSampleBlock];
    size_t waiting = 0;
    const auto addWaiting = [&] {
      for (size_t j = 0; j < waiting; ++j) bins_[bin[j]] += counts[j];
      waiting = 0;
    };
    forEachInside(ranked, logitOf(bottom), logitOf(top), [&](size_t i, size_t n, uint32_t hits) {
      if (waiting + 16 > kSampleBlock) addWaiting();
      uint32_t* const binsHere = bin + waiting;
      uint64_t* const countsHere = counts + waiting;
      const float* logits = ranked.logits + i;
      const auto spread = [&](size_t l) { binsHere[l] = ((top - keyOf(logits[l])) >> shift) * kCopies + l % kCopies; };
      if (n == 16) {
        for (size_t l = 0; l < 16; ++l) spread(l);
      } else {
        for (size_t l = 0; l < n; ++l) spread(l);
      }
      if (ranked.weights != nullptr) {
        store(countsHere, wholes(mul(loadFirst(ranked.weights + i, n), broadcast(ranked.scale))));
      } else {
        for (int l = 0; l < 16; ++l) countsHere[l] = 1;
      }
      if (hits == 0xffff) {
        waiting += 16;
      } else {
        for (uint32_t left = hits; left != 0; left &= left - 1) {
          const int l = __builtin_ctz(left);
          bin[waiting] = binsHere[l];
          counts[waiting++] = countsHere[l];
        }
      }
      return true;
    });
    addWaiting();
  }

  // The id with which those of this logit count `need`, or the last of all. They all count the same.
  static uint32_t lastOf(const Ranked& ranked, float logit, uint64_t need) {
    uint32_t last = ranked.count - 1;
    uint64_t nth = 0;  // of those to come is the one
    forEachInside(ranked, logit, logit, [&](size_t i, size_t, uint32_t hits) {
      if (nth == 0) {
        const uint64_t each =
            ranked.weights == nullptr ? 1 : wholeOf(ranked.weights[i + __builtin_ctz(hits)] * ranked.scale);
        if (each == 0) return false;
        nth = (need - 1) / each + 1;
      }
      const auto here = uint32_t(__builtin_popcount(hits));
      if (nth > here) {
        nth -= here;
        return true;
      }
      for (; nth > 1; --nth) hits &= hits - 1;
      last = uint32_t(i) + uint32_t(__builtin_ctz(hits));
      return false;
    });
    return last;
  }

  uint64_t* bins_;
};

// A logit and its id as one number, the greater the better: for sorting what is before a cut.
QUIPU_INLINE uint64_t rankOf(float logit, uint32_t id) { return uint64_t(keyOf(logit)) << 32 | uint32_t(~id); }

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

// From the greatest to the least. Our own sort: a std:: template could be shared between targets by the linker.
static void sortRanks(uint64_t* ranks, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sink(ranks, count, i);
  for (size_t end = count; end > 1; --end) {
    const uint64_t least = ranks[0];
    ranks[0] = ranks[end - 1];
    ranks[end - 1] = least;
    sink(ranks, end - 1, 0);
  }
}

// What is before a cut, in no order of its own.
static void takeBest(const Ranked& ranked, const Cut& cut, uint64_t* ranks) {
  for (size_t i = 0; i < ranked.count; i += 16) {
    const size_t n = ranked.count - i < 16 ? ranked.count - i : 16;
    const m16 inside = both(beforeCut(cut, loadFirst(ranked.logits + i, n), i), firstLanes(n));
    for (uint32_t left = bits(inside); left != 0; left &= left - 1) {
      const auto id = uint32_t(i) + uint32_t(__builtin_ctz(left));
      *ranks++ = rankOf(ranked.logits[id], id);
    }
  }
}

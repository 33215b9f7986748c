// sample: the next id of each row, with its logprob and the best k, as docs/numerics.md says. Reads the row of V logits
// three times from L2 and takes one exp of each, two where it draws; what top-k or top-p cut off is found by three to
// five passes more, and an addition for every id that may be at the cut. Bound by arithmetic: 0.07 ms for 128 256 ids
// on AVX-512, 0.13 on AVX2, at most 0.45 (docs/benchmarks.md). A task is a row.

// The greatest of the logits (NaN if one of them is), and the least.
struct Extent {
  float greatest, least;
};

static Extent extentOf(const float* logits, size_t count, float* blockGreatest) {
  f32x16 greatest = broadcast(logits[0]), least = greatest;
  m16 nan = firstLanes(0);
  for (size_t block = 0; block < blocksOf(count); ++block) {
    const size_t first = block * kSampleBlock, end = first + kSampleBlock < count ? first + kSampleBlock : count;
    f32x16 inBlock = broadcast(logits[first]);
    for (size_t i = first; i < end; i += 16) {
      const size_t n = end - i < 16 ? end - i : 16;
      const f32x16 v = n == 16 ? load(logits + i) : select(firstLanes(n), loadPart(logits + i, n), inBlock);
      nan = either(nan, isNan(v));
      inBlock = max(v, inBlock);
      least = min(v, least);
    }
    blockGreatest[block] = maximum(inBlock);
    greatest = max(inBlock, greatest);
  }
  if (any(nan)) return {__builtin_nanf(""), __builtin_nanf("")};
  return {maximum(greatest), -maximum(negate(least))};
}

// The smallest id of the greatest logit.
static uint32_t bestOf(const float* logits, size_t count, float greatest) {
  for (size_t i = 0; i < count; i += 16) {
    const size_t n = count - i < 16 ? count - i : 16;
    const m16 hits = both(equal(loadPart(logits + i, n), broadcast(greatest)), firstLanes(n));
    if (any(hits)) return uint32_t(i) + uint32_t(__builtin_ctz(bits(hits)));
  }
  return 0;
}

// A thread's memory for a row.
struct SampleScratch {
  float *processed, *weights;  // [V]
  float* blockGreatest;        // [blocks]
  uint64_t* masses;            // [blocks]
  uint64_t* bins;
  uint64_t* ranks;  // [k]

  static size_t bytes(uint32_t vocabulary, uint32_t k) { return SampleScratch().place(nullptr, vocabulary, k); }

  // Returns the bytes that are taken of `memory`; it may be null, to know them.
  size_t place(std::byte* memory, uint32_t vocabulary, uint32_t k) {
    size_t used = 0;
    const auto take = [&]<typename T>(T*& part, size_t count) {
      part = memory == nullptr ? nullptr : reinterpret_cast<T*>(memory + used);
      used += wholeLines(count * sizeof(T));
    };
    take(processed, vocabulary);
    take(weights, vocabulary);
    take(blockGreatest, blocksOf(vocabulary));
    take(masses, blocksOf(vocabulary));
    take(bins, CutSearch::kBytes / sizeof(uint64_t));
    take(ranks, k);
    return used;
  }
};

// Where a row's request is, and how it samples.
struct SampleRow {
  const int32_t* history;  // by position
  const float* floats;
  const int32_t* ints;
  const int32_t* biasIds;
  const float* biases;
  uint32_t biasCount, position, vocabulary;
};

QUIPU_INLINE bool penalizes(const SampleRow& row) {
  return row.floats[sample::kRepeatPenalty] != 1.0f || row.floats[sample::kPresencePenalty] != 0.0f ||
         row.floats[sample::kFrequencyPenalty] != 0.0f;
}

QUIPU_INLINE bool biases(const SampleRow& row) { return row.biasCount > 0 && row.biasIds[0] >= 0; }

// Penalties and biases on `logits`, which are this row's to change. `counts`: V words of scratch.
static void penalize(const SampleRow& row, float* logits, uint32_t* counts) {
  const float repeat = row.floats[sample::kRepeatPenalty], presence = row.floats[sample::kPresencePenalty];
  const float frequency = row.floats[sample::kFrequencyPenalty];
  if (penalizes(row)) {
    constexpr uint32_t kSeen = 0x80000000;  // beside the count of its places in the completion
    const auto forEach = [&](auto visit) {
      for (uint32_t p = 0; p <= row.position; ++p) {
        if (const auto id = uint32_t(row.history[p]); id < row.vocabulary) visit(p, id);
      }
    };
    forEach([&](uint32_t, uint32_t id) { counts[id] = 0; });
    forEach([&](uint32_t p, uint32_t id) {
      counts[id] = (counts[id] + uint32_t(int64_t(p) >= row.ints[sample::kPromptLength])) | kSeen;
    });
    forEach([&](uint32_t, uint32_t id) {
      if (counts[id] == 0) return;
      float& logit = logits[id];
      logit = logit > 0 ? logit / repeat : logit * repeat;
      const uint32_t count = counts[id] & ~kSeen;
      if (count > 0) logit = logit - float(count) * frequency - presence;
      counts[id] = 0;  // once for all its places
    });
  }
  for (uint32_t i = 0; i < row.biasCount && row.biasIds[i] >= 0; ++i) {
    const auto id = uint32_t(row.biasIds[i]);
    if (id >= row.vocabulary) continue;
    const float biased = logits[id] + row.biases[i];
    logits[id] = biased == biased ? biased : -__builtin_inff();  // −∞ + ∞: forbidden stays forbidden
  }
}

// What top-k, top-p and min-p keep: the logits before a cut whose weight is great enough.
struct Kept {
  Cut cut;
  float least;  // weight
};

// Those of the ids first … first + 15 that are kept.
QUIPU_INLINE m16 keptOf(const Kept& kept, f32x16 logits, f32x16 weights, size_t first) {
  return both(beforeCut(kept.cut, logits, first), lessEqual(broadcast(kept.least), weights));
}

// What the kept ids of each block count together. Returns the sum.
static uint64_t weighKept(const Ranked& ranked, const Kept& kept, uint64_t* masses) {
  uint64_t total = 0;
  for (size_t block = 0; block < blocksOf(ranked.count); ++block) {
    masses[block] = 0;
    if (ranked.blockGreatest[block] < kept.cut.logit) continue;
    const size_t first = block * kSampleBlock;
    const size_t end = first + kSampleBlock < ranked.count ? first + kSampleBlock : ranked.count;
    u64x16 lanes = noWholes();
    for (size_t i = first; i < end; i += 16) {
      const size_t n = end - i < 16 ? end - i : 16;
      const f32x16 weights = loadFirst(ranked.weights + i, n);
      m16 stay = keptOf(kept, loadFirst(ranked.logits + i, n), weights, i);
      if (n < 16) stay = both(stay, firstLanes(n));
      if (any(stay)) lanes = add(lanes, wholes(mul(select(stay, weights, zero()), broadcast(ranked.scale))));
    }
    masses[block] = sum(lanes);
    total += masses[block];
  }
  return total;
}

// The first whole number that is at least p · total; at least 1. p < 1.
static uint64_t shareOf(float p, uint64_t total) {
  if (!(p > 0)) return 1;
  const uint32_t bits = __builtin_bit_cast(uint32_t, p), exponent = bits >> 23, fraction = bits & 0x7fffff;
  // p = mantissa · 2^−shift
  const uint32_t mantissa = exponent == 0 ? fraction : fraction | 0x800000,
                 shift = exponent == 0 ? 149 : 150 - exponent;
  if (shift > 87) return 1;  // mantissa · total < 2⁸⁷
  const auto product = static_cast<unsigned __int128>(mantissa) * total;
  const auto share = uint64_t((product + ((static_cast<unsigned __int128>(1) << shift) - 1)) >> shift);
  return share < 1 ? 1 : share;
}

// A logit that no id lies below whose weight counts more than `count`.
static float leastLogitOf(const Weighing& weighing, float least, uint64_t count) {
  // The weight of 1 more, less the rounding to a whole number; 0.01 is far above the roundings of the exponent.
  const double share = (count > 0 ? double(count) : 0.5) / double(weighing.scale);
  const double logit = double(weighing.greatest) - double(weighing.temperature) * (logarithm(1 / share) + 0.01);
  return logit > double(least) ? float(logit) : least;
}

// The cut after the k greatest. All of them lie in [least, extent.greatest], or it does not matter where it is.
static Cut cutOfBest(Ranked ranked, const Extent& extent, float least, uint32_t k, CutSearch& search) {
  ranked.weights = nullptr;
  if (k <= blocksOf(ranked.count)) {  // the k-th greatest of the blocks' greatest: k logits reach it
    const Ranked blocks = {ranked.blockGreatest, nullptr, nullptr, 1, uint32_t(blocksOf(ranked.count))};
    const float reached = search.find(blocks, extent.least, extent.greatest, k).logit;
    least = reached > least ? reached : least;
  }
  return search.find(ranked, least, extent.greatest, k);
}

// Draws from what top-k, top-p and min-p keep: the block that the number falls in, then the id in it.
static uint32_t draw(const SampleRow& row, const float* logits, const Extent& extent, const SampleScratch& scratch) {
  const float topP = row.floats[sample::kTopP], minP = row.floats[sample::kMinP];
  const auto topK = uint32_t(row.ints[sample::kTopK] > 0 ? row.ints[sample::kTopK] : 0);
  const uint32_t vocabulary = row.vocabulary;
  const bool cut = topK > 0 && topK < vocabulary, filtered = cut || topP < 1 || minP > 0;
  const Weighing weighing = {logits, vocabulary, extent.greatest, row.floats[sample::kTemperature],
                             Weighing::scaleFor(vocabulary)};
  uint64_t total = weighBlocks(weighing, scratch.masses, filtered ? scratch.weights : nullptr);
  Kept kept = {{-__builtin_inff(), vocabulary - 1}, 0};
  if (filtered) {
    const Ranked ranked = {logits, scratch.blockGreatest, scratch.weights, weighing.scale, vocabulary};
    CutSearch search(scratch.bins);
    if (cut) {
      const float least = leastLogitOf(weighing, extent.least, 0);
      kept.cut = cutOfBest(ranked, extent, least, topK, search);
      if (topP < 1) total = weighKept(ranked, kept, scratch.masses);
    }
    if (topP < 1) {
      const uint64_t need = shareOf(topP, total);
      // Those that count no more than this do not make up together for what the run may lack.
      const float least = leastLogitOf(weighing, extent.least, (total - need) / vocabulary);
      kept.cut = search.find(ranked, least > kept.cut.logit ? least : kept.cut.logit, extent.greatest, need);
    }
    if (minP > 0) kept.least = minP < 1 ? minP : 1;  // the greatest always stays
    total = weighKept(ranked, kept, scratch.masses);
  }
  const uint64_t seed = uint64_t(uint32_t(row.ints[sample::kSeedHigh])) << 32 | uint32_t(row.ints[sample::kSeedLow]);
  auto target = uint64_t(static_cast<unsigned __int128>(randomBits(seed, row.position)) * total >> 53);
  size_t block = 0;
  for (; target >= scratch.masses[block]; ++block) target -= scratch.masses[block];
  for (size_t i = block * kSampleBlock;; i += 16) {
    const size_t n = vocabulary - i < 16 ? vocabulary - i : 16;
    const f32x16 weights = weightsAt(weighing, i, n);
    const m16 stay = keptOf(kept, loadFirst(logits + i, n), weights, i);
    uint64_t counts[16];
    store(counts, wholes(mul(select(stay, weights, zero()), broadcast(weighing.scale))));
    for (size_t l = 0; l < 16; ++l) {
      if (target < counts[l]) return uint32_t(i + l);
      target -= counts[l];
    }
  }
}

static uint32_t pick(const SampleRow& row, const float* logits, const Extent& extent, const SampleScratch& scratch) {
  // An infinite bias decides alone.
  const bool drawn = row.floats[sample::kTemperature] > 0 && extent.greatest - extent.greatest == 0;
  return drawn ? draw(row, logits, extent, scratch) : bestOf(logits, row.vocabulary, extent.greatest);
}

// The k best by the model's own logits, sorted.
static void reportBest(const float* logits, uint32_t vocabulary, const Extent& extent, double logSum, uint32_t k,
                       int32_t* ids, float* logprobs, const SampleScratch& scratch) {
  uint64_t* ranks = scratch.ranks;
  if (k == 1) {
    ranks[0] = rankOf(extent.greatest, bestOf(logits, vocabulary, extent.greatest));
  } else {
    CutSearch search(scratch.bins);
    const Ranked ranked = {logits, scratch.blockGreatest, nullptr, 1, vocabulary};
    takeBest(ranked, cutOfBest(ranked, extent, extent.least, k, search), ranks);
    sortRanks(ranks, k);
  }
  for (uint32_t i = 0; i < k; ++i) {
    ids[i] = int32_t(idOf(ranks[i]));
    logprobs[i] = float(double(logits[ids[i]]) - double(extent.greatest) - logSum);
  }
}

static void sampleRow(const OpCall& call, const SampleRow* request, uint32_t row, Worker& worker) {
  const View& best = call[sample::kBestIds];
  const uint32_t vocabulary = call[sample::kLogits].dims[1], k = best.dims[1];
  int32_t &id = call[sample::kIds].as<int32_t>()[row], *bestIds = best.as<int32_t>() + size_t(row) * k;
  float& logprob = call[sample::kLogprobs].as<float>()[row];
  float* bestLogprobs = call[sample::kBestLogprobs].as<float>() + size_t(row) * k;
  id = -1, logprob = 0;
  for (uint32_t i = 0; i < k; ++i) bestIds[i] = -1, bestLogprobs[i] = 0;
  if (request == nullptr) return;

  const float* logits = call[sample::kLogits].as<float>() + size_t(row) * vocabulary;
  SampleScratch scratch;
  scratch.place(worker.scratch, vocabulary, k);
  const Extent extent = extentOf(logits, vocabulary, scratch.blockGreatest);
  if (extent.greatest - extent.greatest != 0) return worker.fail(ErrorCode::kNotANumber, row);
  const double logSum = logOfSum(logits, vocabulary, extent.greatest);
  reportBest(logits, vocabulary, extent, logSum, k, bestIds, bestLogprobs, scratch);
  uint32_t picked;
  if (penalizes(*request) || biases(*request)) {
    for (uint32_t i = 0; i < vocabulary; ++i) scratch.processed[i] = logits[i];
    penalize(*request, scratch.processed, reinterpret_cast<uint32_t*>(scratch.weights));
    const Extent changed = extentOf(scratch.processed, vocabulary, scratch.blockGreatest);
    if (changed.greatest == -__builtin_inff()) return worker.fail(ErrorCode::kAllForbidden, row);
    picked = pick(*request, scratch.processed, changed, scratch);
  } else {
    picked = pick(*request, logits, extent, scratch);
  }
  id = int32_t(picked);
  logprob = float(double(logits[picked]) - double(extent.greatest) - logSum);
}

static size_t sampleTasks(const OpCall& call, uint32_t) { return call[sample::kOutputRows].dims[0]; }

static void sampleRows(const OpCall& call, Worker& worker) {
  const View &outputRows = call[sample::kOutputRows], &history = call[sample::kHistory];
  const uint32_t biases = call[sample::kBiasIds].dims[1];
  for (size_t row; worker.next(row);) {
    const int32_t stepRow = outputRows.as<int32_t>()[row];
    const int32_t slot = stepRow < 0 ? -1 : call[sample::kSlots].as<int32_t>()[stepRow];
    const int32_t position = stepRow < 0 ? -1 : call[sample::kPositions].as<int32_t>()[stepRow];
    if (slot < 0 || position < 0) {
      sampleRow(call, nullptr, uint32_t(row), worker);
      continue;
    }
    const SampleRow request = {history.as<int32_t>() + size_t(slot) * history.dims[1],
                               call[sample::kFloats].as<float>() + size_t(slot) * sample::kFloatSettings,
                               call[sample::kInts].as<int32_t>() + size_t(slot) * sample::kIntSettings,
                               call[sample::kBiasIds].as<int32_t>() + size_t(slot) * biases,
                               call[sample::kBiases].as<float>() + size_t(slot) * biases,
                               biases,
                               uint32_t(position),
                               call[sample::kLogits].dims[1]};
    sampleRow(call, &request, uint32_t(row), worker);
  }
}

static size_t sampleScratchBytes(const OpCall& call) {
  return SampleScratch::bytes(call[sample::kLogits].dims[1], call[sample::kBestIds].dims[1]);
}

// sample: the next id of each row, with its logprob and the best k, in the order that docs/numerics.md gives. Reads the
// row of V logits some four times from L2 and takes one exp of each, two where it draws: bound by arithmetic, 20 to 100
// µs for 50 000 ids. A task is a row; its order of operations is one thread's.

// log of x ≥ 1: x = m · 2ᵉ with m in [√½, √2), log m = 2 artanh((m − 1) / (m + 1)). Relative error below 2⁻⁵⁰.
static double logarithm(double x) {
  const auto bits = __builtin_bit_cast(uint64_t, x);
  int64_t exponent = int64_t(bits >> 52) - 1023;
  double m = __builtin_bit_cast(double, (bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000);
  if (m > 0x1.6a09e667f3bcdp+0) m *= 0.5, ++exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 1.0 / 23;
  for (int n = 21; n >= 1; n -= 2) series = __builtin_fma(series, z, 1.0 / n);
  return __builtin_fma(double(exponent), 0x1.62e42fefa39efp-1, 2 * s * series);
}

// The greatest of the logits; NaN if one of them is.
QUIPU_INLINE float greatestOf(const float* logits, size_t count) {
  f32x16 greatest = broadcast(logits[0]);
  m16 nan = firstLanes(0);
  for (size_t i = 0; i < count; i += 16) {
    const size_t n = count - i < 16 ? count - i : 16;
    const f32x16 v = n == 16 ? load(logits + i) : select(firstLanes(n), loadPart(logits + i, n), greatest);
    nan = either(nan, isNan(v));
    greatest = max(v, greatest);
  }
  return any(nan) ? __builtin_nanf("") : maximum(greatest);
}

// Σ of sixteen lanes over one block of at most 512 numbers exp((logits − greatest) / temperature); keeps them if told
// to.
QUIPU_INLINE float blockOfWeights(const float* logits, size_t count, float greatest, float temperature, float* kept) {
  f32x16 lanes = zero();
  for (size_t i = 0; i < count; i += 16) {
    const size_t n = count - i < 16 ? count - i : 16;
    f32x16 x = sub(loadPart(logits + i, n), broadcast(greatest));
    if (temperature != 1.0f) x = div(x, broadcast(temperature));
    const f32x16 weight = select(firstLanes(n), exp(x), zero());
    if (kept != nullptr) storePart(kept + i, weight, n);
    lanes = add(lanes, weight);
  }
  return sum(lanes);
}

static constexpr size_t kSampleBlock = 512;

static double sumOfWeights(const float* logits, size_t count, float greatest, float temperature, float* kept) {
  double total = 0;
  for (size_t i = 0; i < count; i += kSampleBlock) {
    const size_t n = count - i < kSampleBlock ? count - i : kSampleBlock;
    total += double(blockOfWeights(logits + i, n, greatest, temperature, kept == nullptr ? nullptr : kept + i));
  }
  return total;
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
    for (uint32_t id = 0; id < row.vocabulary; ++id) counts[id] = 0;
    for (uint32_t p = 0; p <= row.position; ++p) {
      const auto id = uint32_t(row.history[p]);
      if (id >= row.vocabulary) continue;
      counts[id] = (counts[id] + uint32_t(int64_t(p) >= row.ints[sample::kPromptLength])) | kSeen;
    }
    for (uint32_t id = 0; id < row.vocabulary; ++id) {
      if (counts[id] == 0) continue;
      float& logit = logits[id];
      logit = logit > 0 ? logit / repeat : logit * repeat;
      const uint32_t count = counts[id] & ~kSeen;
      if (count > 0) logit = logit - float(count) * frequency - presence;
    }
  }
  for (uint32_t i = 0; i < row.biasCount && row.biasIds[i] >= 0; ++i) {
    const auto id = uint32_t(row.biasIds[i]);
    if (id >= row.vocabulary) continue;
    const float biased = logits[id] + row.biases[i];
    logits[id] = biased == biased ? biased : -__builtin_inff();  // −∞ + ∞: forbidden stays forbidden
  }
}

// Draws from all ids: the block that the number falls in, then the id in it.
static uint32_t drawFromAll(const float* logits, float* weights, const SampleRow& row, float greatest, double random) {
  const float temperature = row.floats[sample::kTemperature];
  const double target = random * sumOfWeights(logits, row.vocabulary, greatest, temperature, weights);
  double before = 0;
  uint32_t id = 0;
  for (size_t i = 0; i < row.vocabulary; i += kSampleBlock) {
    const size_t n = row.vocabulary - i < kSampleBlock ? row.vocabulary - i : kSampleBlock;
    f32x16 lanes = zero();
    for (size_t k = 0; k < n; k += 16) lanes = add(lanes, loadPart(weights + i + k, n - k < 16 ? n - k : 16));
    const double after = before + double(sum(lanes));
    if (target < after) {
      double running = before;
      for (size_t k = i; k < i + n; ++k) {
        if (weights[k] == 0) continue;
        id = uint32_t(k);
        running += double(weights[k]);
        if (target < running) break;
      }
      return id;
    }
    before = after;
  }
  return bestOf(logits, row.vocabulary, greatest);  // not reached: target < the sum of all blocks
}

static constexpr uint32_t kHeapLimit = 1024;  // best ids up to which a heap of them beats sorting all

// The ids that top-k, top-p and min-p can keep, ranked. The mass that top-p is of is all that top-k leaves, so that
// min-p may leave nothing out before it is known. Ids with less than (1 − p − 2⁻¹⁸) / V of the mass of all are never in
// the shortest run that reaches p: together they are less than what that run leaves, roundings of the mass (36 in a
// block) included.
static Ranking rankingOf(const float* logits, const float* weights, const SampleRow& row, float greatest, double mass,
                         std::byte* memory) {
  const float topP = row.floats[sample::kTopP];
  const auto topK = uint32_t(row.ints[sample::kTopK]);
  const uint32_t vocabulary = row.vocabulary;
  const bool cut = topK > 0 && topK < vocabulary;
  if (cut && topK <= kHeapLimit) return {memory, logits, vocabulary, topK};
  float least = row.floats[sample::kMinP];
  if (topP < 1 && cut) {
    least = 0;
  } else if (topP < 1) {
    const auto mayBeKept = float((1 - double(topP) - 0x1p-18) * mass / vocabulary);
    least = mayBeKept > least ? mayBeKept : least;
  }
  return {memory, logits, vocabulary, greatest, weights, least < 1 ? least : 1};  // the best one always stays
}

// Draws from what top-k, top-p and min-p keep, which is a beginning of the ranking.
static uint32_t drawFromKept(const float* logits, float* weights, const SampleRow& row, float greatest, double random,
                             std::byte* memory) {
  const float topP = row.floats[sample::kTopP], minP = row.floats[sample::kMinP];
  const auto topK = uint32_t(row.ints[sample::kTopK]);
  double mass = sumOfWeights(logits, row.vocabulary, greatest, row.floats[sample::kTemperature], weights);
  Ranking ranking = rankingOf(logits, weights, row, greatest, mass, memory);
  uint32_t limit = ranking.size();
  if (topK > 0 && topK < row.vocabulary) {  // top-p is of what top-k leaves
    limit = topK < limit ? topK : limit;
    mass = 0;
    for (uint32_t rank = 0; rank < limit; ++rank) mass += double(weights[ranking[rank]]);
  }
  double kept = 0;
  uint32_t count = 0;
  while (count < limit) {
    const float weight = weights[ranking[count]];
    if (count > 0 && (weight == 0 || weight < minP || (topP < 1 && kept >= double(topP) * mass))) break;
    kept += double(weight);
    ++count;
  }
  const double target = random * kept;
  double running = 0;
  for (uint32_t rank = 0; rank + 1 < count; ++rank) {
    running += double(weights[ranking[rank]]);
    if (target < running) return ranking[rank];
  }
  return ranking[count - 1];
}

static uint32_t pick(const SampleRow& row, const float* logits, float greatest, float* weights, std::byte* memory) {
  const float temperature = row.floats[sample::kTemperature];
  // An infinite bias decides alone, and nothing can be drawn where everything is forbidden.
  const bool finite = greatest - greatest == 0;
  if (!(temperature > 0) || !finite) return bestOf(logits, row.vocabulary, greatest);
  const uint64_t seed = uint64_t(uint32_t(row.ints[sample::kSeedHigh])) << 32 | uint32_t(row.ints[sample::kSeedLow]);
  const double random = uniform(seed, row.position);
  const bool filtered = row.ints[sample::kTopK] > 0 || row.floats[sample::kTopP] < 1 || row.floats[sample::kMinP] > 0;
  return filtered ? drawFromKept(logits, weights, row, greatest, random, memory)
                  : drawFromAll(logits, weights, row, greatest, random);
}

// The k best by the model's own logits, sorted.
static void reportBest(const float* logits, uint32_t vocabulary, float greatest, double logSum, uint32_t k,
                       int32_t* ids, float* logprobs, std::byte* memory) {
  auto* ranks = reinterpret_cast<uint64_t*>(memory);
  if (k == 1) {
    ranks[0] = rankOf(greatest, bestOf(logits, vocabulary, greatest));
  } else {
    bestRanks(logits, vocabulary, k, ranks);
  }
  for (uint32_t i = 0; i < k; ++i) {
    ids[i] = int32_t(idOf(ranks[i]));
    logprobs[i] = float(double(logits[ids[i]]) - double(greatest) - logSum);
  }
}

static void sampleRow(const OpCall& call, const SampleRow* request, uint32_t row, std::byte* scratch) {
  const View& best = call[sample::kBestIds];
  const uint32_t vocabulary = call[sample::kLogits].dims[1], k = best.dims[1];
  int32_t &id = call[sample::kIds].as<int32_t>()[row], *bestIds = best.as<int32_t>() + size_t(row) * k;
  float& logprob = call[sample::kLogprobs].as<float>()[row];
  float* bestLogprobs = call[sample::kBestLogprobs].as<float>() + size_t(row) * k;
  int32_t& status = call[sample::kStatuses].as<int32_t>()[row];
  id = -1, logprob = 0, status = sample::kDrawn;
  for (uint32_t i = 0; i < k; ++i) bestIds[i] = -1, bestLogprobs[i] = 0;
  if (request == nullptr) return;

  const float* logits = call[sample::kLogits].as<float>() + size_t(row) * vocabulary;
  const float greatest = greatestOf(logits, vocabulary);
  if (greatest - greatest != 0) {
    status = sample::kNotANumber;
    return;
  }
  const double logSum = logarithm(sumOfWeights(logits, vocabulary, greatest, 1.0f, nullptr));
  auto* processed = reinterpret_cast<float*>(scratch);
  float* weights = processed + vocabulary;
  auto* memory = scratch + (2 * size_t(vocabulary) * sizeof(float) + 63) / 64 * 64;
  reportBest(logits, vocabulary, greatest, logSum, k, bestIds, bestLogprobs, memory);
  uint32_t picked;
  if (penalizes(*request) || biases(*request)) {
    for (uint32_t i = 0; i < vocabulary; ++i) processed[i] = logits[i];
    penalize(*request, processed, reinterpret_cast<uint32_t*>(weights));
    picked = pick(*request, processed, greatestOf(processed, vocabulary), weights, memory);
  } else {
    picked = pick(*request, logits, greatest, weights, memory);
  }
  id = int32_t(picked);
  logprob = float(double(logits[picked]) - double(greatest) - logSum);
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
      sampleRow(call, nullptr, uint32_t(row), worker.scratch);
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
    sampleRow(call, &request, uint32_t(row), worker.scratch);
  }
}

static size_t sampleScratchBytes(const OpCall& call) {
  const size_t vocabulary = call[sample::kLogits].dims[1];
  return (2 * vocabulary * sizeof(float) + 63) / 64 * 64 + Ranking::bytes(vocabulary);
}

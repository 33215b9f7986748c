// sample and advance, by the list of docs/numerics.md.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

// Philox 4x32-10 (Salmon et al., SC 2011): a number of 53 bits.
uint64_t random53(uint64_t seed, uint32_t position) {
  uint64_t counter[4] = {position, 0, 0, 0};
  auto low = static_cast<uint32_t>(seed), high = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = 0xD2511F53u * counter[0], second = 0xCD9E8D57u * counter[2];
    const uint64_t next[4] = {(second >> 32) ^ counter[1] ^ low, second & UINT32_MAX, (first >> 32) ^ counter[3] ^ high,
                              first & UINT32_MAX};
    std::copy_n(next, 4, counter);
    low += 0x9E3779B9u;
    high += 0xBB67AE85u;
  }
  return (counter[0] >> 5) << 26 | counter[1] >> 6;
}

// The logits of a row with its slot's settings.
struct Request {
  const Call& call;
  size_t slot, position, vocabulary;

  double setting(uint32_t name) const { return call[sample::kFloats][slot * sample::kFloatSettings + name]; }
  int32_t whole(uint32_t name) const { return call[sample::kInts].index(slot * sample::kIntSettings + name); }

  void penalize(std::vector<double>& logits) const {
    const double repeat = setting(sample::kRepeatPenalty), presence = setting(sample::kPresencePenalty);
    const double frequency = setting(sample::kFrequencyPenalty);
    std::map<int32_t, double> counts;  // by id: its places in the completion
    for (size_t p = 0; p <= position; ++p) {
      const int32_t id = call[sample::kHistory].index(slot * call[sample::kHistory].dims[1] + p);
      if (id < 0 || static_cast<size_t>(id) >= vocabulary) continue;
      counts[id] += static_cast<int64_t>(p) >= whole(sample::kPromptLength) ? 1 : 0;
    }
    for (const auto& [id, count] : counts) {
      double& logit = logits[static_cast<size_t>(id)];
      logit = logit > 0 ? logit / repeat : logit * repeat;
      if (count > 0) logit -= count * frequency + presence;
    }
    const Operand& ids = call[sample::kBiasIds];
    for (size_t i = 0; i < ids.dims[1] && ids.index(slot * ids.dims[1] + i) >= 0; ++i) {
      const auto id = static_cast<size_t>(ids.index(slot * ids.dims[1] + i));
      if (id >= vocabulary) continue;
      logits[id] += call[sample::kBiases][slot * ids.dims[1] + i];
    }
    for (double& logit : logits) {
      if (std::isnan(logit)) logit = -INFINITY;  // −∞ + ∞: forbidden stays forbidden
    }
  }

  // The id that is picked from penalized logits; `ranking` is of them.
  size_t pick(const std::vector<double>& logits, const std::vector<size_t>& ranking) const {
    const double temperature = setting(sample::kTemperature), topP = setting(sample::kTopP);
    const double greatest = logits[ranking[0]];
    if (!(temperature > 0) || !std::isfinite(greatest)) return ranking[0];
    const int bits = std::min(51, 63 - static_cast<int>(std::bit_width(vocabulary)));
    std::vector<double> weights(vocabulary);
    std::vector<uint64_t> counts(vocabulary);  // what a weight counts as
    for (size_t id = 0; id < vocabulary; ++id) {
      weights[id] = std::exp((logits[id] - greatest) / temperature);
      counts[id] = static_cast<uint64_t>(std::nearbyint(std::ldexp(weights[id], bits)));
    }
    std::vector<size_t> ids = ranking;
    if (const int32_t topK = whole(sample::kTopK); topK > 0 && static_cast<size_t>(topK) < vocabulary) {
      ids.resize(static_cast<size_t>(topK));
    }
    uint64_t mass = 0, run = 0, kept = 0;
    for (const size_t id : ids) mass += counts[id];
    std::vector<size_t> allowed;
    for (const size_t id : ids) {
      if (topP < 1 && !allowed.empty() && static_cast<double>(run) >= topP * static_cast<double>(mass)) break;
      run += counts[id];
      if (!allowed.empty() && weights[id] < setting(sample::kMinP)) break;
      kept += counts[id];
      allowed.push_back(id);
    }
    std::sort(allowed.begin(), allowed.end());
    const uint64_t seed = uint64_t{static_cast<uint32_t>(whole(sample::kSeedHigh))} << 32 |
                          static_cast<uint32_t>(whole(sample::kSeedLow));
    const uint64_t random = random53(seed, static_cast<uint32_t>(position));
    const auto target = static_cast<uint64_t>(static_cast<unsigned __int128>(random) * kept >> 53);
    uint64_t running = 0;
    for (const size_t id : allowed) {
      running += counts[id];
      if (running > target) return id;
    }
    return ranking[0];  // not reached: the target is below the sum of all
  }
};

// Ids by descending logit, ties by ascending id.
std::vector<size_t> ranked(const std::vector<double>& logits) {
  std::vector<size_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), size_t{0});
  std::stable_sort(ids.begin(), ids.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  return ids;
}

}  // namespace

void sample(const Call& call, const Fail& fail) {
  using namespace quipu::sample;
  const size_t vocabulary = call[kLogits].dims[1], best = call[kBestIds].dims[1];
  for (size_t row = 0; row < call[kOutputRows].dims[0]; ++row) {
    call[kIds].set(row, -1);
    call[kLogprobs].set(row, 0);
    for (size_t i = row * best; i < (row + 1) * best; ++i) {
      call[kBestIds].set(i, -1);
      call[kBestLogprobs].set(i, 0);
    }
    const int32_t stepRow = call[kOutputRows].index(row);
    if (stepRow < 0) continue;
    const int32_t slot = call[kSlots].index(static_cast<size_t>(stepRow));
    const int32_t position = call[kPositions].index(static_cast<size_t>(stepRow));
    if (slot < 0 || position < 0) continue;

    std::vector<double> logits(vocabulary);
    bool wrong = false;
    for (size_t id = 0; id < vocabulary; ++id) {
      logits[id] = call[kLogits][row * vocabulary + id];
      wrong = wrong || std::isnan(logits[id]);
    }
    const double greatest = *std::max_element(logits.begin(), logits.end());
    if (wrong || std::isinf(greatest)) {
      if (!fail(ErrorCode::kNotANumber, static_cast<uint32_t>(row))) return;
      continue;
    }
    double mass = 0;
    for (const double logit : logits) mass += std::exp(logit - greatest);
    const auto logprob = [&, own = logits](size_t id) { return own[id] - greatest - std::log(mass); };
    const std::vector<size_t> ranking = ranked(logits);
    for (size_t i = 0; i < best; ++i) {
      call[kBestIds].set(row * best + i, static_cast<double>(ranking[i]));
      call[kBestLogprobs].set(row * best + i, logprob(ranking[i]));
    }
    const Request request = {call, static_cast<size_t>(slot), static_cast<size_t>(position), vocabulary};
    request.penalize(logits);
    const std::vector<size_t> penalized = ranked(logits);
    if (logits[penalized[0]] == -INFINITY) {
      if (!fail(ErrorCode::kAllForbidden, static_cast<uint32_t>(row))) return;
      continue;
    }
    const size_t id = request.pick(logits, penalized);
    call[kIds].set(row, static_cast<double>(id));
    call[kLogprobs].set(row, logprob(id));
  }
}

void advance(const Call& call, const Fail& fail) {
  using namespace quipu::advance;
  const Operand &sampled = call[kSampled], &stops = call[kStops], &history = call[kHistory];
  const size_t context = history.dims[1];
  for (size_t row = 0; row < sampled.dims[0]; ++row) {
    if (call[kOutputRows].index(row) < 0) continue;
    const auto at = static_cast<size_t>(call[kOutputRows].index(row));
    const int32_t slot = call[kSlots].index(at), position = call[kPositions].index(at), id = sampled.index(row);
    if (slot < 0 || position < 0) continue;
    call[kNextPositions].set(static_cast<size_t>(slot), -1);
    if (id == -1) continue;
    if (static_cast<uint32_t>(id) >= history.bound) {
      if (!fail(ErrorCode::kInternal, static_cast<uint32_t>(row))) return;
      continue;
    }
    const size_t next = static_cast<size_t>(position) + 1;
    if (next >= call[kNextPositions].bound) continue;  // which is at most the context
    history.set(static_cast<size_t>(slot) * context + next, id);
    call[kLastIds].set(static_cast<size_t>(slot), id);
    bool ends = false;
    for (size_t i = 0; i < stops.dims[1]; ++i) {
      ends = ends || stops.index(static_cast<size_t>(slot) * stops.dims[1] + i) == id;
    }
    if (!ends) call[kNextPositions].set(static_cast<size_t>(slot), static_cast<double>(next));
  }
}

void resume(const Call& call, const Fail&) {
  using namespace quipu::resume;
  for (size_t row = 0; row < call[kRowSlots].dims[0]; ++row) {
    const int32_t slot = call[kRowSlots].index(row), given = call[kRowPositions].index(row);
    const bool left = slot >= 0 && given < 0;  // by the slot's last step
    const int32_t id = left ? call[kLastIds].index(static_cast<size_t>(slot)) : call[kRowIds].index(row);
    const int32_t position = left ? call[kNextPositions].index(static_cast<size_t>(slot)) : given;
    const bool padding = slot < 0 || position < 0 || static_cast<uint32_t>(slot) >= call[kSlots].bound ||
                         static_cast<uint32_t>(position) >= call[kPositions].bound;
    call[kIds].set(row, padding ? 0 : id);
    call[kSlots].set(row, padding ? -1 : slot);
    call[kPositions].set(row, padding ? -1 : position);
  }
}

}  // namespace quipu::reference

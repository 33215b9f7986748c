// ropeAngles, rope, appendKv, attention.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

// Where a row's keys and values lie: keys [pages, G, d, 64], values [pages, G, 64, d], scales [pages, G, 64].
struct Cache {
  const Operand &keys, &values, &slots, &positions, &pageTable;
  const Operand *keyScales, *valueScales;  // null where the cache has none

  // `at`: which operands of the call they are, in that order.
  Cache(const Call& call, const std::array<uint32_t, 7>& at)
      : keys(call[at[0]]),
        values(call[at[1]]),
        slots(call[at[2]]),
        positions(call[at[3]]),
        pageTable(call[at[4]]),
        keyScales(call.operands.size() > at[5] ? &call[at[5]] : nullptr),
        valueScales(keyScales != nullptr ? &call[at[6]] : nullptr) {}

  size_t heads() const { return keys.dims[1]; }
  size_t size() const { return keys.dims[2]; }
  bool padding(size_t row) const { return slots.index(row) < 0 || positions.index(row) < 0; }
  // The page of a key of the row's slot; −1 where the table, or an index, names none.
  int64_t page(size_t row, size_t position) const {
    const auto slot = static_cast<size_t>(slots.index(row));
    const size_t block = position / kPageKeys;
    if (slot >= pageTable.dims[0] || block >= pageTable.dims[1]) return -1;
    const int32_t page = pageTable.index(slot * pageTable.dims[1] + block);
    return page >= 0 && static_cast<size_t>(page) < keys.dims[0] ? page : -1;
  }
  size_t key(size_t page, size_t head, size_t position, size_t c) const {
    const size_t first = (page * heads() + head) * size() * kPageKeys, at = position % kPageKeys;
    // Codes lie in fours of a key, but for those that are left.
    if (keyScales != nullptr && c < size() / 4 * 4) return first + (c / 4 * kPageKeys + at) * 4 + c % 4;
    return first + c * kPageKeys + at;
  }
  // Vectors of an i8 cache are rotated where their size is a power of two from 16 on.
  bool rotates() const { return keyScales != nullptr && size() >= 16 && (size() & (size() - 1)) == 0; }
  size_t value(size_t page, size_t head, size_t position, size_t c) const {
    return (scale(page, head, position)) * size() + c;
  }
  size_t scale(size_t page, size_t head, size_t position) const {
    return (page * heads() + head) * kPageKeys + position % kPageKeys;
  }
};

// One vector of an i8 cache: its scale, amax / 127, kept as f32. A NaN or an infinity is kept in the scale alone.
template <typename Set>
double storeI8(const std::vector<double>& vector, Set set) {
  double greatest = 0;
  bool nan = false;
  for (const double x : vector) {
    nan = nan || std::isnan(x);
    greatest = std::max(greatest, std::fabs(x));
  }
  const double scale = nan ? NAN : static_cast<float>(greatest / 127);
  const bool usable = scale > 0 && scale < INFINITY;
  for (size_t c = 0; c < vector.size(); ++c) {
    const double steps = std::nearbyint(usable ? vector[c] / scale : vector[c]);
    set(c, std::isnan(steps) ? 0 : std::clamp(steps, -127.0, 127.0));
  }
  return scale;
}

}  // namespace

// The angle is the f32 product, as in the published implementations (docs/numerics.md).
void ropeAngles(const Call& call, const Fail&) {
  using namespace rope_angles;
  const Operand &positions = call[kPositions], &frequencies = call[kInverseFrequencies], &out = call[kOut];
  const size_t half = frequencies.dims[0];
  for (size_t t = 0; t < positions.dims[0]; ++t) {
    const double position = std::max(positions.index(t), 0);
    for (size_t j = 0; j < half; ++j) {
      const double angle = static_cast<float>(static_cast<float>(position) * static_cast<float>(frequencies[j]));
      out.set((t * half + j) * 2, std::cos(angle) * call.floatAttribute(kScale));
      out.set((t * half + j) * 2 + 1, std::sin(angle) * call.floatAttribute(kScale));
    }
  }
}

void rope(const Call& call, const Fail&) {
  using namespace quipu::rope;
  const Operand &x = call[kX], &angles = call[kAngles], &out = call[kOut];
  const size_t width = x.dims[1], half = angles.dims[1];
  for (size_t t = 0; t < x.dims[0]; ++t) {
    for (size_t head = 0; head < width; head += 2 * half) {
      for (size_t j = 0; j < half; ++j) {
        const size_t first = t * width + head + j, second = first + half;
        const double cosine = angles[(t * half + j) * 2], sine = angles[(t * half + j) * 2 + 1];
        const double a = x[first], b = x[second];
        out.set(first, a * cosine - b * sine);
        out.set(second, b * cosine + a * sine);
      }
    }
  }
}

void appendKv(const Call& call, const Fail& fail) {
  using namespace append_kv;
  const Cache cache(call, {kKeys, kValues, kSlots, kPositions, kPageTable, kKeyScales, kValueScales});
  const Operand &k = call[kK], &v = call[kV];
  const size_t size = cache.size();
  std::vector<double> key(size), value(size);
  for (size_t row = 0; row < k.dims[0]; ++row) {
    if (cache.padding(row)) continue;
    const auto position = static_cast<size_t>(cache.positions.index(row));
    const int64_t page = cache.page(row, position);
    if (page < 0) {
      fail(ErrorCode::kInternal, static_cast<uint32_t>(row));
      return;
    }
    for (size_t head = 0; head < cache.heads(); ++head) {
      const size_t first = (row * cache.heads() + head) * size, at = static_cast<size_t>(page);
      for (size_t c = 0; c < size; ++c) {
        key[c] = k[first + c];
        value[c] = v[first + c];
      }
      const auto setKey = [&](size_t c, double x) { cache.keys.set(cache.key(at, head, position, c), x); };
      const auto setValue = [&](size_t c, double x) { cache.values.set(cache.value(at, head, position, c), x); };
      if (cache.keyScales != nullptr) {
        if (cache.rotates()) {
          rotate<double>(key);
          rotate<double>(value);
        }
        cache.keyScales->set(cache.scale(at, head, position), storeI8(key, setKey));
        cache.valueScales->set(cache.scale(at, head, position), storeI8(value, setValue));
        continue;
      }
      for (size_t c = 0; c < size; ++c) {
        setKey(c, key[c]);
        setValue(c, value[c]);
      }
    }
  }
}

void attention(const Call& call, const Fail& fail) {
  using namespace quipu::attention;
  const Cache cache(call, {kKeys, kValues, kSlots, kPositions, kPageTable, kKeyScales, kValueScales});
  const Operand &q = call[kQ], &out = call[kOut];
  const size_t width = q.dims[1], size = cache.size(), group = width / (cache.heads() * size);
  // Products of rotated vectors are as many times those of the vectors as they have features.
  const double part = cache.rotates() ? 1.0 / static_cast<double>(size) : 1;
  std::vector<double> vector(size), scores, sums(size);
  std::vector<size_t> pages;
  for (size_t row = 0; row < q.dims[0]; ++row) {
    if (cache.padding(row)) {
      for (size_t c = 0; c < width; ++c) out.set(row * width + c, 0);
      continue;
    }
    const size_t keys = static_cast<size_t>(cache.positions.index(row)) + 1;
    pages.resize(keys);
    for (size_t j = 0; j < keys; ++j) {
      const int64_t page = cache.page(row, j);
      if (page < 0) {
        fail(ErrorCode::kInternal, static_cast<uint32_t>(row));
        return;
      }
      pages[j] = static_cast<size_t>(page);
    }
    for (size_t query = 0; query < cache.heads() * group; ++query) {
      const size_t head = query / group, first = row * width + query * size;
      for (size_t c = 0; c < size; ++c) vector[c] = q[first + c];
      if (cache.rotates()) rotate<double>(vector);
      scores.assign(keys, 0);
      double greatest = -INFINITY;
      for (size_t j = 0; j < keys; ++j) {
        for (size_t c = 0; c < size; ++c) scores[j] += vector[c] * cache.keys[cache.key(pages[j], head, j, c)];
        if (cache.keyScales != nullptr) scores[j] *= (*cache.keyScales)[cache.scale(pages[j], head, j)];
        scores[j] *= call.floatAttribute(kScale) * part;
        greatest = std::max(greatest, scores[j]);  // drops a NaN, whose own weight shows it
      }
      double mass = 0;
      std::fill(sums.begin(), sums.end(), 0);
      for (size_t j = 0; j < keys; ++j) {
        const double weight = std::exp(scores[j] - greatest);
        mass += weight;
        const double valueScale =
            cache.valueScales != nullptr ? (*cache.valueScales)[cache.scale(pages[j], head, j)] : 1;
        for (size_t c = 0; c < size; ++c) {
          sums[c] += weight * valueScale * cache.values[cache.value(pages[j], head, j, c)];
        }
      }
      for (double& sum : sums) sum /= mass;
      if (cache.rotates()) rotate<double>(sums);
      for (size_t c = 0; c < size; ++c) out.set(first + c, sums[c] * part);
    }
  }
}

}  // namespace quipu::reference

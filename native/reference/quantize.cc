// quantize: the one op that is not in f64. Codes are the same on every device, so what is tried, in which order and
// with which roundings is as docs/numerics.md has it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

using Numbers = std::span<const float>;

constexpr float kInfinite = std::numeric_limits<float>::infinity();

float half(float value) { return static_cast<float>(halfNumber(value)) + 0.0f; }
float inverse(float value) { return value == 0 ? 0 : 1 / value; }

// --- q8 and q6 -------------------------------------------------------------------------------------------------------

struct ScaleTrial {
  float scale, error = 0, products = 0, squares = 0;
};

float scaledCode(float x, float scale, float most) {
  return std::clamp(std::nearbyint(x * inverse(scale)), -most, most - 1);
}

ScaleTrial tryScale(Numbers numbers, float scale, float most) {
  ScaleTrial trial{scale};
  for (const float x : numbers) {
    const float code = scaledCode(x, scale, most), off = scale * code - x;
    trial.error = std::fma(off, off, trial.error);
    trial.products = std::fma(x, code, trial.products);
    trial.squares = std::fma(code, code, trial.squares);
  }
  return trial;
}

bool packScaled(Numbers numbers, DType dtype, ScaledBlock& block) {
  const float most = dtype == DType::kQ6 ? 32 : 128, step = dtype == DType::kQ6 ? 0.5f : 1.0f;
  float extreme = 0;
  for (const float x : numbers) {
    if (std::fabs(x) > std::fabs(extreme)) extreme = x;
  }
  ScaleTrial best{0, kInfinite};
  for (int t = -3; t <= 5; ++t) {
    const float scale = half(extreme / -(most + static_cast<float>(t) * step));
    if (!std::isfinite(scale)) return false;
    if (const ScaleTrial trial = tryScale(numbers, scale, most); trial.error < best.error) best = trial;
  }
  const ScaleTrial refitted = tryScale(numbers, half(best.products * inverse(best.squares)), most);
  if (refitted.error < best.error) best = refitted;
  block.scale = best.scale;
  for (size_t i = 0; i < numbers.size(); ++i) {
    block.codes[i] = static_cast<int8_t>(scaledCode(numbers[i], best.scale, most));
  }
  return true;
}

// --- q4 --------------------------------------------------------------------------------------------------------------

// A scale and a minimum in whole numbers.
struct Pair {
  float scale = 0, minimum = 0, error = kInfinite;
};

struct Supers {
  float scale, minimum;
};

float code(float x, float scale, float minimum) {
  const float by = inverse(scale);
  return std::clamp(std::nearbyint(std::fma(x, by, minimum * by)), 0.0f, 15.0f);
}

float whole(float value) { return std::clamp(std::nearbyint(value), 0.0f, 63.0f); }

void tryPair(Numbers numbers, Supers supers, float scale, float minimum, Pair& best) {
  const float s = supers.scale * scale, m = supers.minimum * minimum;
  float error = 0;
  for (const float x : numbers) {
    const float off = std::fma(s, code(x, s, m), -m) - x;
    error = std::fma(off, off, error);
  }
  if (error < best.error) best = {scale, minimum, error};
}

struct Block {
  Numbers numbers;
  float least = 0, range = 0, sum = 0;

  explicit Block(Numbers numbers) : numbers(numbers) {
    float greatest = 0;
    for (const float x : numbers) {
      least = std::min(least, x);
      greatest = std::max(greatest, x);
      sum += x;
    }
    range = greatest - least;
  }

  Pair onGrid(Supers supers) const {
    Pair best;
    for (int below = -3; below <= 2; ++below) {
      for (int above = -3; above <= 2; ++above) {
        const float low = 0.3f * static_cast<float>(below);
        const float levels = 15.0f + low + 0.3f * static_cast<float>(above);
        const float scale = whole(range * inverse(supers.scale) / levels);
        const float minimum = std::fma(-low, supers.scale * scale, -least);
        tryPair(numbers, supers, scale, whole(minimum * inverse(supers.minimum)), best);
      }
    }
    return best;
  }

  Pair near(const Pair& pair, Supers supers) const {
    Pair best;
    for (int u = -1; u <= 1; ++u) {
      for (int v = -1; v <= 1; ++v) {
        const auto du = static_cast<float>(u), dv = static_cast<float>(v);
        tryPair(numbers, supers, whole(pair.scale + du), whole(pair.minimum + dv), best);
      }
    }
    return best;
  }
};

// The best super-scales for these codes; false where there are none.
bool refit(std::span<const Block> blocks, std::span<const Pair> pairs, Supers now, Supers& next) {
  float aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const float a = pairs[i].scale, b = pairs[i].minimum;
    float codes = 0, squares = 0, products = 0;
    for (const float x : blocks[i].numbers) {
      const float c = code(x, now.scale * a, now.minimum * b);
      codes += c;
      squares = std::fma(c, c, squares);
      products = std::fma(x, c, products);
    }
    aa = std::fma(a * a, squares, aa);
    ab = std::fma(a * b, codes, ab);
    bb = std::fma(b * b, static_cast<float>(blocks[i].numbers.size()), bb);
    xa = std::fma(a, products, xa);
    xb = std::fma(b, blocks[i].sum, xb);
  }
  const float determinant = aa * bb - ab * ab;
  if (!(determinant > 0)) return false;
  next = {half((xa * bb - xb * ab) / determinant), half((xa * ab - xb * aa) / determinant)};
  return next.scale > 0 && next.minimum >= 0 && std::isfinite(next.scale) && std::isfinite(next.minimum);
}

bool packSuper(Numbers numbers, SuperBlock& packed) {
  std::vector<Block> blocks;
  float range = 0, depth = 0;
  for (size_t first = 0; first < numbers.size(); first += 32) {
    const Block& block = blocks.emplace_back(numbers.subspan(first, std::min<size_t>(32, numbers.size() - first)));
    range = std::max(range, block.range);
    depth = std::max(depth, -block.least);
  }
  Supers supers = {half(range * (1.06f / (15.0f * 63.0f))), half(depth * (1.02f / 63.0f))};
  if (!std::isfinite(supers.scale) || !std::isfinite(supers.minimum)) return false;
  std::vector<Pair> pairs;
  float error = 0;
  for (const Block& block : blocks) error += pairs.emplace_back(block.onGrid(supers)).error;
  for (int round = 0; round < 3; ++round) {
    Supers next;
    if (!refit(blocks, pairs, supers, next)) break;
    std::vector<Pair> nextPairs;
    float nextError = 0;
    for (size_t i = 0; i < blocks.size(); ++i) {
      nextError += nextPairs.emplace_back(blocks[i].near(pairs[i], next)).error;
    }
    if (!(nextError < error)) break;
    supers = next;
    pairs = nextPairs;
    error = nextError;
  }
  packed.scale = supers.scale;
  packed.minimum = supers.minimum;
  for (size_t i = 0; i < blocks.size(); ++i) {
    packed.scales[i] = static_cast<uint8_t>(pairs[i].scale);
    packed.minimums[i] = static_cast<uint8_t>(pairs[i].minimum);
  }
  for (size_t k = 0; k < numbers.size(); ++k) {
    const Pair& pair = pairs[k / 32];
    const float s = supers.scale * pair.scale, m = supers.minimum * pair.minimum;
    packed.codes[k] = static_cast<uint8_t>(code(numbers[k], s, m));
  }
  return true;
}

}  // namespace

void quantize(const Call& call, const Fail& fail) {
  using namespace quipu::quantize;
  const Operand &weight = call[kWeight], &packed = call[kPacked];
  const size_t rows = weight.dims[0], width = weight.dims[1], span = packed.dtype == DType::kQ4 ? 256 : 32;
  std::vector<float> numbers(width);
  for (size_t n = 0; n < rows; ++n) {
    bool fine = true;
    for (size_t k = 0; k < width; ++k) {
      numbers[k] = static_cast<float>(weight[n * width + k]);
      fine = fine && std::isfinite(numbers[k]);
    }
    for (size_t first = 0; first < width && fine; first += span) {
      if (packed.dtype != DType::kQ4 && first + span <= width) {
        float rotated[32];
        std::copy_n(&numbers[first], 32, rotated);
        rotateBlock(rotated, 0.25f);
        std::copy_n(rotated, 32, &numbers[first]);
        for (const float x : rotated) fine = fine && std::isfinite(x);
      }
      const Numbers some = Numbers(numbers).subspan(first, std::min(span, width - first));
      SuperBlock super;
      ScaledBlock block;
      if (!fine) break;
      if (packed.dtype == DType::kQ4) {
        fine = packSuper(some, super);
        if (fine) storePacked(packed, n, first, super);
      } else {
        fine = packScaled(some, packed.dtype, block);
        if (fine) storePacked(packed, n, first, block);
      }
    }
    if (!fine) {
      fail(ErrorCode::kNotANumber, static_cast<uint32_t>(n));
      return;
    }
  }
}

}  // namespace quipu::reference

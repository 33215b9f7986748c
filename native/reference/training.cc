// What a training step is made of beside the forward ops: gradients, the loss, the optimizer.
#include <algorithm>
#include <cmath>
#include <vector>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

// log Σ exp of a row of logits.
double logSum(const Operand& logits, size_t row) {
  const size_t count = logits.dims[1];
  double greatest = -INFINITY, total = 0;
  for (size_t i = 0; i < count; ++i) greatest = std::max(greatest, logits[row * count + i]);
  for (size_t i = 0; i < count; ++i) total += std::exp(logits[row * count + i] - greatest);
  return greatest + std::log(total);
}

bool isId(int64_t id, size_t count) { return id >= 0 && static_cast<uint64_t>(id) < count; }

}  // namespace

void matmulPlain(const Call& call, const Fail&) {
  using namespace matmul_plain;
  const Operand &a = call[kA], &b = call[kB], &out = call[kOut];
  const size_t depth = b.dims[0], width = b.dims[1];
  for (size_t t = 0; t < a.dims[0]; ++t) {
    for (size_t k = 0; k < width; ++k) {
      double sum = 0;
      for (size_t n = 0; n < depth; ++n) sum += a[t * depth + n] * b[n * width + k];
      out.set(t * width + k, sum);
    }
  }
}

void matmulOverRows(const Call& call, const Fail&) {
  using namespace matmul_over_rows;
  const Operand &a = call[kA], &b = call[kB], &sum = call[kSum];
  const size_t features = a.dims[1], width = b.dims[1];
  for (size_t n = 0; n < features; ++n) {
    for (size_t k = 0; k < width; ++k) {
      double total = sum[n * width + k];
      for (size_t t = 0; t < a.dims[0]; ++t) total += a[t * features + n] * b[t * width + k];
      sum.set(n * width + k, total);
    }
  }
}

void accumulate(const Call& call, const Fail&) {
  using namespace quipu::accumulate;
  const Operand &value = call[kValue], &sum = call[kSum];
  for (size_t i = 0; i < value.dims[0] * value.dims[1]; ++i) sum.set(i, sum[i] + value[i]);
}

void scatterAddRows(const Call& call, const Fail&) {
  using namespace scatter_add_rows;
  const Operand &rows = call[kRows], &ids = call[kIds], &out = call[kOut];
  const size_t width = rows.dims[1], count = out.dims[0];
  std::vector<double> sums(count * width, 0);
  for (size_t t = 0; t < rows.dims[0]; ++t) {
    if (!isId(ids.index(t), count)) continue;
    for (size_t c = 0; c < width; ++c) sums[static_cast<size_t>(ids.index(t)) * width + c] += rows[t * width + c];
  }
  for (size_t i = 0; i < sums.size(); ++i) out.set(i, sums[i]);
}

// y = x s w with s = (Σ x² / D + ε)^−½: ds/dx_k = −s³ x_k / D.
void rmsNormBackward(const Call& call, const Fail&) {
  using namespace rms_norm_backward;
  const Operand &x = call[kX], &weight = call[kWeight], &dOut = call[kDOut], &dX = call[kDX], &dWeight = call[kDWeight];
  const size_t width = x.dims[1];
  const auto features = static_cast<double>(width);
  std::vector<double> sums(width, 0);
  for (size_t t = 0; t < x.dims[0]; ++t) {
    double squares = 0, along = 0;
    for (size_t k = 0; k < width; ++k) {
      squares += x[t * width + k] * x[t * width + k];
      along += dOut[t * width + k] * weight[k] * x[t * width + k];
    }
    const double scale = 1 / std::sqrt(squares / features + call.floatAttribute(kEpsilon));
    for (size_t k = 0; k < width; ++k) {
      const size_t i = t * width + k;
      sums[k] += dOut[i] * x[i] * scale;
      dX.set(i, dOut[i] * weight[k] * scale - x[i] * scale * scale * scale * along / features);
    }
  }
  for (size_t k = 0; k < width; ++k) dWeight.set(k, sums[k]);
}

void ropeBackward(const Call& call, const Fail&) {
  using namespace rope_backward;
  const Operand &dOut = call[kDOut], &angles = call[kAngles], &dX = call[kDX];
  const size_t width = dOut.dims[1], half = angles.dims[1];
  for (size_t t = 0; t < dOut.dims[0]; ++t) {
    for (size_t head = 0; head < width; head += 2 * half) {
      for (size_t j = 0; j < half; ++j) {
        const size_t first = t * width + head + j, second = first + half;
        const double cosine = angles[(t * half + j) * 2], sine = angles[(t * half + j) * 2 + 1];
        const double a = dOut[first], b = dOut[second];
        dX.set(first, a * cosine + b * sine);
        dX.set(second, b * cosine - a * sine);
      }
    }
  }
}

void swigluBackward(const Call& call, const Fail&) {
  using namespace swiglu_backward;
  const Operand &gate = call[kGate], &up = call[kUp], &dOut = call[kDOut];
  for (size_t i = 0; i < gate.dims[0] * gate.dims[1]; ++i) {
    const double sigma = 1 / (1 + std::exp(-gate[i])), g = gate[i], u = up[i], d = dOut[i];
    call[kDGate].set(i, d * u * sigma * (1 + g * (1 - sigma)));
    call[kDUp].set(i, d * g * sigma);
  }
}

// p = softmax(s), s = scale · q k, o = p v: ds = p (dOut v − dOut o).
void attentionBackward(const Call& call, const Fail& fail) {
  using namespace attention_backward;
  const Operand &q = call[kQ], &k = call[kK], &v = call[kV], &out = call[kOut], &dOut = call[kDOut],
                &slots = call[kSlots];
  const size_t rows = q.dims[0], width = q.dims[1], keyWidth = k.dims[1], size = call.attributes[kHeadSize];
  if (size == 0 || keyWidth % size != 0) {
    fail(ErrorCode::kInternal, 0);
    return;
  }
  const size_t group = width / keyWidth;
  const double scale = call.floatAttribute(kScale);
  std::vector<double> dQ(rows * width, 0), dK(rows * keyWidth, 0), dV(rows * keyWidth, 0), weights(rows);
  for (size_t t = 0; t < rows; ++t) {
    if (slots.index(t) < 0) continue;
    size_t first = t;
    while (first > 0 && slots.index(first - 1) == slots.index(t)) --first;
    for (size_t query = 0; query < width / size; ++query) {
      const size_t atQ = t * width + query * size, head = query / group * size;
      double greatest = -INFINITY, mass = 0, along = 0;
      for (size_t j = first; j <= t; ++j) {
        weights[j] = 0;
        for (size_t c = 0; c < size; ++c) weights[j] += q[atQ + c] * k[j * keyWidth + head + c] * scale;
        greatest = std::max(greatest, weights[j]);
      }
      for (size_t j = first; j <= t; ++j) mass += weights[j] = std::exp(weights[j] - greatest);
      for (size_t c = 0; c < size; ++c) along += dOut[atQ + c] * out[atQ + c];
      for (size_t j = first; j <= t; ++j) {
        const size_t atK = j * keyWidth + head;
        double toValue = 0;
        for (size_t c = 0; c < size; ++c) toValue += dOut[atQ + c] * v[atK + c];
        const double p = weights[j] / mass, slope = p * (toValue - along) * scale;
        for (size_t c = 0; c < size; ++c) {
          dQ[atQ + c] += slope * k[atK + c];
          dK[atK + c] += slope * q[atQ + c];
          dV[atK + c] += p * dOut[atQ + c];
        }
      }
    }
  }
  for (size_t i = 0; i < dQ.size(); ++i) call[kDQ].set(i, dQ[i]);
  for (size_t i = 0; i < dK.size(); ++i) call[kDK].set(i, dK[i]);
  for (size_t i = 0; i < dV.size(); ++i) call[kDV].set(i, dV[i]);
}

void crossEntropy(const Call& call, const Fail&) {
  using namespace cross_entropy;
  const Operand &logits = call[kLogits], &targets = call[kTargets], &weights = call[kWeights];
  const size_t count = logits.dims[1];
  std::vector<double> row(count);
  for (size_t r = 0; r < logits.dims[0]; ++r) {
    const bool counts = isId(targets.index(r), count);
    const auto target = static_cast<size_t>(targets.index(r));
    const double mass = logSum(logits, r), weight = weights[r];
    for (size_t i = 0; i < count; ++i) row[i] = logits[r * count + i];
    call[kLosses].set(r, counts ? weight * (mass - row[target]) : 0);
    for (size_t i = 0; i < count; ++i) {
      const double gradient = weight * (std::exp(row[i] - mass) - (i == target ? 1 : 0));
      call[kDLogits].set(r * count + i, counts ? gradient : 0);
    }
  }
}

void tokenLogprobs(const Call& call, const Fail&) {
  using namespace token_logprobs;
  const Operand &logits = call[kLogits], &targets = call[kTargets];
  const size_t count = logits.dims[1];
  for (size_t r = 0; r < logits.dims[0]; ++r) {
    const int32_t target = targets.index(r);
    const bool counts = isId(target, count);
    call[kLogprobs].set(r, counts ? logits[r * count + static_cast<size_t>(target)] - logSum(logits, r) : 0);
  }
}

void sumSquares(const Call& call, const Fail&) {
  using namespace sum_squares;
  double total = 0;
  for (size_t i = 0; i < call[kX].dims[0]; ++i) total += call[kX][i] * call[kX][i];
  call[kOut].set(0, total);
}

void clipNorm(const Call& call, const Fail&) {
  using namespace clip_norm;
  const Operand& settings = call[kSettings];
  const double norm = std::sqrt(call[kSquares][0]) * settings[kScale];
  const bool isSound = norm < INFINITY && norm <= settings[kLimit];
  call[kNorm].set(0, norm);
  call[kFactor].set(0, isSound ? settings[kScale] * std::min(1.0, settings[kGreatest] / norm) : 0);
}

void adamW(const Call& call, const Fail&) {
  using namespace adam_w;
  const Operand& settings = call[kSettings];
  const double factor = call[kFactor][0];
  for (size_t i = 0; i < call[kParameter].dims[0]; ++i) {
    const double gradient = call[kGradient][i] * factor;
    call[kGradient].set(i, 0);
    if (factor == 0) continue;
    const auto kept = [](double moment) { return std::fabs(moment) < 0x1p-100 ? 0 : moment; };
    const double momentum = kept(settings[kBeta1] * call[kMomentum][i] + settings[kGain1] * gradient);
    const double variance = kept(settings[kBeta2] * call[kVariance][i] + settings[kGain2] * gradient * gradient);
    const double spread = std::sqrt(variance / settings[kCorrection2]) + settings[kEpsilon];
    const double update = momentum / settings[kCorrection1] / spread;
    call[kMomentum].set(i, momentum);
    call[kVariance].set(i, variance);
    call[kParameter].set(i, call[kParameter][i] * settings[kKeep] - settings[kRate] * update);
  }
}

}  // namespace quipu::reference

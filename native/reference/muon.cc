// What a step of Muon is made of beside products, and the mean of weights over a run's end.
#include <algorithm>
#include <cmath>
#include <vector>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

size_t elementsOf(const Operand& matrix) { return size_t{matrix.dims[0]} * matrix.dims[1]; }

double kept(double moment) { return std::fabs(moment) < 0x1p-100 ? 0 : moment; }

}  // namespace

void nesterov(const Call& call, const Fail&) {
  using namespace quipu::nesterov;
  const double factor = call[kFactor][0], beta = call.floatAttribute(kBeta);
  for (size_t i = 0; i < elementsOf(call[kGradient]); ++i) {
    const double gradient = call[kGradient][i] * factor;
    call[kGradient].set(i, 0);
    if (factor == 0) {
      call[kOut].set(i, 0);
      continue;
    }
    const double momentum = kept(beta * call[kMomentum][i] + gradient);
    call[kMomentum].set(i, momentum);
    call[kOut].set(i, beta * momentum + gradient);
  }
}

void divideByNorm(const Call& call, const Fail&) {
  using namespace divide_by_norm;
  const Operand &x = call[kX], &out = call[kOut];
  double squares = 0;
  for (size_t i = 0; i < elementsOf(x); ++i) squares += x[i] * x[i];
  const double norm = std::sqrt(squares) + call.floatAttribute(kEpsilon);
  for (size_t i = 0; i < elementsOf(x); ++i) out.set(i, x[i] / norm);
}

void combine(const Call& call, const Fail&) {
  using namespace quipu::combine;
  const double alpha = call.floatAttribute(kAlpha), beta = call.floatAttribute(kBeta);
  for (size_t i = 0; i < elementsOf(call[kA]); ++i) call[kOut].set(i, alpha * call[kA][i] + beta * call[kB][i]);
}

void transpose(const Call& call, const Fail&) {
  using namespace quipu::transpose;
  const size_t rows = call[kX].dims[0], columns = call[kX].dims[1];
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      call[kOut].set(column * rows + row, call[kX][row * columns + column]);
    }
  }
}

void norMuon(const Call& call, const Fail&) {
  using namespace nor_muon;
  const Operand &parameter = call[kParameter], &update = call[kUpdate], &variance = call[kVariance];
  const Operand& settings = call[kSettings];
  if (call[kFactor][0] == 0) return;
  const size_t rows = parameter.dims[0], columns = parameter.dims[1];
  std::vector<double> inverses(rows);
  double before = 0, after = 0;
  for (size_t row = 0; row < rows; ++row) {
    double squares = 0;
    for (size_t i = 0; i < columns; ++i) squares += update[row * columns + i] * update[row * columns + i];
    const double mean = squares / static_cast<double>(columns);
    const double now = kept(settings[kBeta] * variance[row] + settings[kGain] * mean);
    variance.set(row, now);
    inverses[row] = 1 / (std::sqrt(now) + settings[kEpsilon]);
    before += squares;
    after += squares * inverses[row] * inverses[row];
  }
  const double tall = std::max(1.0, static_cast<double>(rows) / static_cast<double>(columns));
  const double whole = after > 0 ? std::sqrt(before / after * tall) * settings[kRate] : 0;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      const size_t i = row * columns + column;
      const double keep = update[i] * parameter[i] > 0 ? settings[kKeep] : 1;
      parameter.set(i, parameter[i] * keep - whole * inverses[row] * update[i]);
    }
  }
}

void movingAverage(const Call& call, const Fail&) {
  using namespace moving_average;
  const Operand &value = call[kValue], &average = call[kAverage];
  const double share = call[kShare][0];
  for (size_t i = 0; i < value.dims[0]; ++i) average.set(i, average[i] + share * (value[i] - average[i]));
}

}  // namespace quipu::reference

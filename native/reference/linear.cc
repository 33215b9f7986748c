// gatherRows, rmsNorm, matmul, add, swiglu, and what is made of them.
#include <algorithm>
#include <cmath>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

double dot(const Operand& a, size_t t, const Operand& b, size_t n) {
  const size_t width = a.dims[1];
  double sum = 0;
  for (size_t k = 0; k < width; ++k) sum += a[t * width + k] * b[n * width + k];
  return sum;
}

double silu(double x) { return x / (1 + std::exp(-x)); }

}  // namespace

void gatherRows(const Call& call, const Fail&) {
  using namespace gather_rows;
  const Operand &table = call[kTable], &ids = call[kIds], &out = call[kOut];
  const size_t width = table.dims[1];
  for (size_t t = 0; t < ids.dims[0]; ++t) {
    const int64_t row = ids.index(t);
    const bool found = row >= 0 && static_cast<uint64_t>(row) < table.dims[0];
    for (size_t k = 0; k < width; ++k) out.set(t * width + k, found ? table[static_cast<size_t>(row) * width + k] : 0);
  }
}

void rmsNorm(const Call& call, const Fail&) {
  using namespace rms_norm;
  const Operand &x = call[kX], &weight = call[kWeight], &out = call[kOut];
  const size_t width = x.dims[1];
  for (size_t t = 0; t < x.dims[0]; ++t) {
    double squares = 0;
    for (size_t k = 0; k < width; ++k) squares += x[t * width + k] * x[t * width + k];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(width) + call.floatAttribute(kEpsilon));
    for (size_t k = 0; k < width; ++k) out.set(t * width + k, x[t * width + k] * scale * weight[k]);
  }
}

void matmul(const Call& call, const Fail&) {
  using namespace quipu::matmul;
  const Operand &a = call[kA], &b = call[kB], &out = call[kOut];
  const size_t rows = a.dims[0], features = b.dims[0];
  for (size_t t = 0; t < rows; ++t) {
    for (size_t n = 0; n < features; ++n) out.set(t * features + n, dot(a, t, b, n));
  }
}

void add(const Call& call, const Fail&) {
  using namespace quipu::add;
  const Operand &a = call[kA], &b = call[kB], &out = call[kOut];
  for (size_t i = 0; i < a.dims[0] * a.dims[1]; ++i) out.set(i, a[i] + b[i]);
}

void swiglu(const Call& call, const Fail&) {
  using namespace quipu::swiglu;
  const Operand &gate = call[kGate], &up = call[kUp], &out = call[kOut];
  for (size_t i = 0; i < gate.dims[0] * gate.dims[1]; ++i) out.set(i, silu(gate[i]) * up[i]);
}

void matmulAdd(const Call& call, const Fail&) {
  using namespace matmul_add;
  const Operand &a = call[kA], &b = call[kB], &residual = call[kResidual], &out = call[kOut];
  const size_t rows = a.dims[0], features = b.dims[0];
  for (size_t t = 0; t < rows; ++t) {
    for (size_t n = 0; n < features; ++n) {
      const size_t i = t * features + n;
      out.set(i, residual[i] + dot(a, t, b, n));
    }
  }
}

void matmulSwiglu(const Call& call, const Fail&) {
  using namespace matmul_swiglu;
  const Operand &a = call[kA], &gate = call[kGate], &up = call[kUp], &out = call[kOut];
  const size_t rows = a.dims[0], features = gate.dims[0];
  for (size_t t = 0; t < rows; ++t) {
    for (size_t n = 0; n < features; ++n) out.set(t * features + n, silu(dot(a, t, gate, n)) * dot(a, t, up, n));
  }
}

}  // namespace quipu::reference

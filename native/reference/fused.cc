// What ops do that take the place of others: those, one after another, with values between them as f32, which is what
// they are where the ops are not fused.
#include <vector>

#include "reference/kernels.h"

namespace quipu::reference {

namespace {

// A value between two ops.
class Between {
 public:
  Between(size_t rows, size_t width) : data_(rows * width), rows_(rows), width_(width) {}
  operator Operand() { return {reinterpret_cast<std::byte*>(data_.data()), DType::kF32, {rows_, width_, 1, 1}, 0}; }

 private:
  std::vector<float> data_;
  size_t rows_, width_;
};

}  // namespace

void normMatmulSwiglu(const Call& call, const Fail& fail) {
  using namespace norm_matmul_swiglu;
  const Operand& x = call[kX];
  Between h(x.dims[0], x.dims[1]);
  rmsNorm({{x, call[kNorm], h}, call.attributes}, fail);
  matmulSwiglu({{h, call[kGate], call[kUp], call[kOut]}, nullptr}, fail);
}

void gatherNorm(const Call& call, const Fail& fail) {
  using namespace gather_norm;
  const Operand &table = call[kTable], &ids = call[kIds];
  Between rows(ids.dims[0], table.dims[1]);
  gatherRows({{table, ids, rows}, nullptr}, fail);
  rmsNorm({{rows, call[kWeight], call[kOut]}, call.attributes}, fail);
}

void matmulSample(const Call& call, const Fail& fail) {
  using namespace matmul_sample;
  const Operand &a = call[kA], &b = call[kB];
  Between logits(a.dims[0], b.dims[0]);
  matmul({{a, b, logits}, nullptr}, fail);
  Call rows = {{logits}, nullptr};
  for (size_t i = kOutputRows; i < call.operands.size(); ++i) rows.operands.push_back(call.operands[i]);
  sample(rows, fail);
}

void normQkv(const Call& call, const Fail& fail) {
  using namespace norm_qkv;
  const Operand &x = call[kX], &angles = call[kAngles];
  const size_t rows = x.dims[0], width = call[kKey].dims[0];
  Between h(rows, x.dims[1]), q(rows, call[kQuery].dims[0]), k(rows, width), turned(rows, width), v(rows, width);
  rmsNorm({{x, call[kNorm], h}, call.attributes}, fail);
  matmul({{h, call[kQuery], q}, nullptr}, fail);
  matmul({{h, call[kKey], k}, nullptr}, fail);
  matmul({{h, call[kValue], v}, nullptr}, fail);
  rope({{q, angles, call[kOut]}, nullptr}, fail);
  rope({{k, angles, turned}, nullptr}, fail);
  Call append = {{turned, v, call[kSlots], call[kPositions], call[kPageTable], call[kKeys], call[kValues]}, nullptr};
  for (size_t i = kKeyScales; i < call.operands.size(); ++i) append.operands.push_back(call.operands[i]);
  appendKv(append, fail);
}

}  // namespace quipu::reference

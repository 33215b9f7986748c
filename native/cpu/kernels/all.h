// Every kernel, and the table that a target is made of. Included after simd/<isa>.h in the target's namespace; the
// kernels/<op>.h include nothing themselves, so a file that another one builds on comes first.
#include "cpu/kernels/add.h"
#include "cpu/kernels/elements.h"
#include "cpu/kernels/rms_norm.h"

static constexpr Target makeTarget(const char* name) {
  Target target = {};
  const auto set = [&target](OpCode code, Kernel kernel) { target.kernels[uint32_t(code)] = kernel; };
  target.name = name;
  set(OpCode::kAdd, {addElements});
  set(OpCode::kRmsNorm, {rmsNorm});
  return target;
}

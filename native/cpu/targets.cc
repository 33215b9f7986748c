#include "cpu/targets.h"

namespace quipu::cpu {

std::vector<const Target*> availableTargets() {
  std::vector<const Target*> targets = {&scalarTarget()};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
                    __builtin_cpu_supports("bmi2");
  if (avx2) targets.push_back(&avx2Target());
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
    targets.push_back(&avx512Target());
  }
#endif
  return targets;
}

const Target* findTarget(const std::string& name) {
  const std::vector<const Target*> targets = availableTargets();
  if (name.empty()) return targets.back();
  for (const Target* target : targets) {
    if (name == target->name) return target;
  }
  return nullptr;
}

}  // namespace quipu::cpu

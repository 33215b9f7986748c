#include "cpu/targets.h"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "cpu/features.h"

namespace quipu::cpu {

#ifdef QUIPU_EMULATED_TARGETS  // the test build's (test/native/emulated)
const Target& emulatedAvxVnniTarget();
const Target& emulatedAvx512Target();
const Target& emulatedAvx512VnniTarget();
#endif

std::vector<const Target*> availableTargets() {
  std::vector<const Target*> targets = {&scalarTarget()};
#if defined(__x86_64__)
  const Features features = readFeatures();
#ifdef QUIPU_EMULATED_TARGETS
  if (features.avx2)
    targets.insert(targets.begin(), {&emulatedAvx512VnniTarget(), &emulatedAvx512Target(),
                                     &emulatedAvxVnniTarget()});  // never the default
#endif
  if (features.avx2) targets.push_back(&avx2Target());
  if (features.avxVnni) targets.push_back(&avxVnniTarget());
  if (features.avx512) targets.push_back(&avx512Target());
  if (features.avx512Vnni) targets.push_back(&avx512VnniTarget());
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

uint32_t processors() {
#if defined(__linux__)
  for (size_t words = 1; words <= 64; words *= 2) {  // a mask that is too small for this machine is refused
    std::vector<cpu_set_t> mask(words);
    const size_t bytes = words * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, mask.data()) != 0) continue;
    return static_cast<uint32_t>(std::max(CPU_COUNT_S(bytes, mask.data()), 1));
  }
#endif
  return std::max(std::thread::hardware_concurrency(), 1u);
}

}  // namespace quipu::cpu

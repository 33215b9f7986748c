// The instruction sets that kernels are compiled for, which of them this machine can run, and on how many processors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cpu/kernel.h"

namespace quipu::cpu {

// Those this machine can run, slowest first; "scalar" is always there.
std::vector<const Target*> availableTargets();

// The named target, or the fastest for an empty name; null when this machine cannot run it or there is none of that
// name.
const Target* findTarget(const std::string& name);

// Processors that this process may run on: its affinity mask. At least 1.
uint32_t processors();

}  // namespace quipu::cpu

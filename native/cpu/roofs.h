// The two roofs of a CPU, measured: how fast its memory can be read and how many multiply-adds it can do.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.h"
#include "cpu/kernel.h"

namespace quipu::cpu {

// The best of `passes` read-only passes over `bytes` of memory, shared by `threads`. bytesPerSecond is written on
// success.
Status measureReadBandwidth(const Target& target, uint32_t threads, size_t bytes, uint32_t passes,
                            double& bytesPerSecond);

// The best of `passes` of independent f32 multiply-adds in registers on `threads`, in floating-point operations per
// second.
double measureMultiplyAdd(const Target& target, uint32_t threads, uint32_t passes);

}  // namespace quipu::cpu

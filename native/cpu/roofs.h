// The two roofs of a CPU, measured: how fast its memory can be read and how many multiply-adds it can do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/error.h"
#include "cpu/kernel.h"

namespace quipu::cpu {

// Whether to stop: asked often enough to end within 100 ms.
using Stop = std::function<bool()>;

// The best of `passes` read-only passes over `bytes` of memory, shared by `threads`. bytesPerSecond is written on
// success; stopped, it fails with kAborted.
Status measureReadBandwidth(const Target& target, uint32_t threads, size_t bytes, uint32_t passes, const Stop& stop,
                            double& bytesPerSecond);

// The best of `passes` of independent f32 multiply-adds in registers on `threads`, in floating-point operations per
// second; like measureReadBandwidth when stopped.
Status measureMultiplyAdd(const Target& target, uint32_t threads, uint32_t passes, const Stop& stop,
                          double& operationsPerSecond);

}  // namespace quipu::cpu
